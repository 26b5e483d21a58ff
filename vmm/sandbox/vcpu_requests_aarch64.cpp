#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "vmm/sandbox/vcpu_requests.h"

namespace gpremap {

std::span<const uint64_t> vcpu_requests() {
    static constexpr uint64_t requests[] = {KVM_GET_ONE_REG, KVM_SET_ONE_REG, KVM_ARM_VCPU_INIT};
    return requests;
}

// No kernel is run there.
std::span<const uint64_t> kernel_requests() {
    return {};
}

}  // namespace gpremap
