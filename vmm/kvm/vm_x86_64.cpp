#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

// Without this, deleting or moving one slot drops the second-stage mappings of all.
void keep_other_slots_mapped(const Descriptor& vm) {
    kvm_enable_cap quirks = {};
    quirks.cap = KVM_CAP_DISABLE_QUIRKS2;
    quirks.args[0] = kvm_new::quirk_slot_zap_all;
    kvm_ioctl(vm, KVM_ENABLE_CAP, &quirks, "disabling KVM_X86_QUIRK_SLOT_ZAP_ALL");
}

// Without this, KVM gives the guest an exception for an instruction that it cannot emulate: one fetched from
// where no slot is, say.
void tell_of_failed_emulation(const Descriptor& vm) {
    kvm_enable_cap cap = {};
    cap.cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE;
    cap.args[0] = 1;
    kvm_ioctl(vm, KVM_ENABLE_CAP, &cap, "enabling KVM_CAP_EXIT_ON_EMULATION_FAILURE");
}

}  // namespace

void Vm::prepare_processor() {
    if (capabilities().exit_on_emulation_failure) tell_of_failed_emulation(fd_);
    if (capabilities().slot_zap_all_optional) keep_other_slots_mapped(fd_);
}

// Four pages for KVM itself, where no slot may be: below the firmware's place at the end of 4 GiB.
void Vm::create_irqchip() {
    const uint64_t identity_map = 0xfffbc000;
    constexpr unsigned long task_state = 0xfffbd000;
    kvm_ioctl(fd_, KVM_SET_TSS_ADDR, task_state, "KVM_SET_TSS_ADDR");
    kvm_ioctl(fd_, KVM_SET_IDENTITY_MAP_ADDR, &identity_map, "KVM_SET_IDENTITY_MAP_ADDR");
    kvm_ioctl(fd_, KVM_CREATE_IRQCHIP, 0ul, "KVM_CREATE_IRQCHIP");
}

void Vm::pulse_irq(uint32_t line) {
    for (const uint32_t level : {1u, 0u}) {
        kvm_irq_level request = {};
        request.irq = line;
        request.level = level;
        kvm_ioctl(fd_, KVM_IRQ_LINE, &request, "KVM_IRQ_LINE");
    }
}

const CpuidTable& Vm::supported_cpuid() const {
    return kvm_.vcpu_model();
}

}  // namespace gpremap
