#include "vmm/kvm/vm.h"

namespace gpremap {

// Without this, an access where no slot is, by an instruction that the processor does not describe, ends KVM_RUN as if
// the host could not do it. KVM then hands out its address.
void Vm::prepare_processor() {
    kvm_enable_cap cap = {};
    cap.cap = KVM_CAP_ARM_NISV_TO_USER;
    kvm_ioctl(fd_, KVM_ENABLE_CAP, &cap, "enabling KVM_CAP_ARM_NISV_TO_USER");
}

}  // namespace gpremap
