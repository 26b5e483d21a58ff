#include <algorithm>
#include <fstream>

#include "vmm/base/errors.h"
#include "vmm/kvm/kvm.h"

namespace gpremap {

const char* const mend_of_no_kvm =
    "load kvm_intel or kvm_amd (modprobe), or enable virtualisation in the firmware";

namespace {

bool module_parameter_is_on(const char* path) {
    std::ifstream file(path);
    char value = 0;
    return file >> value && (value == 'Y' || value == '1');
}

// A backend that is neither kvm_intel nor kvm_amd is one that has no nested paging to use.
MmuKind find_mmu_kind() {
    if (module_parameter_is_on("/sys/module/kvm_intel/parameters/ept")) return MmuKind::ept;
    if (module_parameter_is_on("/sys/module/kvm_amd/parameters/npt")) return MmuKind::npt;
    return MmuKind::shadow;
}

const kvm_cpuid_entry2* find_leaf(const CpuidTable& table, uint32_t function) {
    const kvm_cpuid_entry2* end = table.entries + table.count;
    const kvm_cpuid_entry2* found =
        std::find_if(table.entries, end, [&](const auto& entry) { return entry.function == function; });
    return found == end ? nullptr : found;
}

void read_cpuid(const CpuidTable& table, KvmCapabilities& capabilities) {
    constexpr uint32_t no_execute = 1u << 20, gigabyte_pages = 1u << 26, long_mode = 1u << 29;
    const kvm_cpuid_entry2* features = find_leaf(table, 0x80000001);
    if (!features || (features->edx & (no_execute | long_mode)) != (no_execute | long_mode))
        throw HostLacks(
            "this host's KVM offers no 64-bit guest with no-execute pages: enable NX in the firmware");
    capabilities.gigabyte_pages = features->edx & gigabyte_pages;
    if (const kvm_cpuid_entry2* sizes = find_leaf(table, 0x80000008)) {
        // Bits 23:16, where not 0, are what nested paging can map of the address width in bits 7:0.
        uint32_t width = sizes->eax & 0xff, mappable = sizes->eax >> 16 & 0xff;
        capabilities.guest_address_bits = mappable ? std::min(width, mappable) : width;
    }
}

}  // namespace

void Kvm::examine_processor() {
    if (check_extension(fd_, KVM_CAP_EXT_CPUID) == 0)
        throw HostLacks("this host's KVM lacks KVM_CAP_EXT_CPUID: Linux 4.11 or later has it");
    vcpu_model_.count = CpuidTable::capacity;
    kvm_ioctl(fd_, kvm_number::get_supported_cpuid, &vcpu_model_, "KVM_GET_SUPPORTED_CPUID");
    read_cpuid(vcpu_model_, capabilities_);
    capabilities_.mmu = find_mmu_kind();
    capabilities_.system_management = check_extension(fd_, KVM_CAP_X86_SMM);
    capabilities_.sync_regs = check_extension(fd_, KVM_CAP_SYNC_REGS) & KVM_SYNC_X86_REGS;
    capabilities_.exit_on_emulation_failure = check_extension(fd_, KVM_CAP_EXIT_ON_EMULATION_FAILURE);
    capabilities_.slot_zap_all_optional =
        check_extension(fd_, KVM_CAP_DISABLE_QUIRKS2) & kvm_new::quirk_slot_zap_all;
}

}  // namespace gpremap
