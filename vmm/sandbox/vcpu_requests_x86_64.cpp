#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "vmm/sandbox/vcpu_requests.h"

namespace gpremap {

std::span<const uint64_t> vcpu_requests() {
    static constexpr uint64_t requests[] = {KVM_GET_REGS,   KVM_SET_REGS,        KVM_GET_SREGS,
                                            KVM_SET_SREGS,  KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS,
                                            KVM_GET_TSC_KHZ};
    return requests;
}

std::span<const uint64_t> kernel_requests() {
    constexpr uint64_t set_cpuid2 = 0x4008ae90, set_msrs = 0x4008ae89;  // with the sizes that C has
    static constexpr uint64_t requests[] = {set_cpuid2, set_msrs, KVM_GET_LAPIC, KVM_SET_LAPIC,
                                            KVM_TRANSLATE};
    return requests;
}

}  // namespace gpremap
