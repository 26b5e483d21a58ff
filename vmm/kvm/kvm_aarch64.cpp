#include <asm/hwcap.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <string>

#include "vmm/base/errors.h"
#include "vmm/kvm/kvm.h"

namespace gpremap {

const char* const mend_of_no_kvm =
    "the kernel has to start at EL2: see what it says of kvm at its boot, and the firmware's settings";

// A VM is created with as wide addresses as there can be. That its slots are independent of each other is no option
// here, and registers come one by one.
void Kvm::examine_processor() {
    if (uint32_t bits = check_extension(fd_, KVM_CAP_ARM_VM_IPA_SIZE)) {
        capabilities_.guest_address_bits = bits;
        capabilities_.vm_type = KVM_VM_TYPE_ARM_IPA_SIZE(bits);
    } else {
        capabilities_.guest_address_bits = 40;
    }
    if (const long page = sysconf(_SC_PAGESIZE); page != 4096)
        throw HostLacks("this kernel has pages of " + std::to_string(page / 1024) +
                        " KiB: boot one with pages of 4 KiB");
    if (check_extension(fd_, KVM_CAP_ARM_NISV_TO_USER) == 0)
        throw HostLacks("this host's KVM lacks KVM_CAP_ARM_NISV_TO_USER: Linux 5.5 or later has it");
    if ((getauxval(AT_HWCAP) & HWCAP_ATOMICS) == 0)
        throw HostLacks("this host's processor lacks LSE atomics, which the agent uses: ARMv8.1 has them");
    capabilities_.mmu = MmuKind::stage2;
    capabilities_.gigabyte_pages = true;
    capabilities_.slot_zap_all_optional = true;
    const Descriptor vm = create_vm();
    kvm_ioctl(vm, KVM_ARM_PREFERRED_TARGET, &vcpu_model_, "KVM_ARM_PREFERRED_TARGET");
}

}  // namespace gpremap
