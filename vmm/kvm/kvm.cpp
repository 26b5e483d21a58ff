#include "vmm/kvm/kvm.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "vmm/base/errors.h"

namespace gpremap {

const char* name_of(MmuKind kind) {
    switch (kind) {
        case MmuKind::ept:
            return "ept";
        case MmuKind::npt:
            return "npt";
        case MmuKind::shadow:
            return "shadow";
    }
    return "?";
}

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

Descriptor open_kvm() {
    Descriptor fd(open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (fd.valid()) return fd;
    std::string why = std::strerror(errno);
    if (errno == ENOENT)
        throw HostLacks("/dev/kvm: " + why +
                        ": load kvm_intel or kvm_amd (modprobe), or enable virtualisation in the firmware");
    if (errno == EACCES || errno == EPERM)
        throw HostLacks("/dev/kvm: " + why + ": join the group that owns it (usually kvm), or run as root");
    throw HostLacks("/dev/kvm: " + why);
}

uint32_t check_extension(const Descriptor& fd, int capability) {
    return static_cast<uint32_t>(std::max(0, ioctl(fd.get(), KVM_CHECK_EXTENSION, capability)));
}

void require(const Descriptor& fd) {
    if (ioctl(fd.get(), KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        throw HostLacks(
            "/dev/kvm does not speak KVM API version 12: a Linux kernel of this century is needed");
    struct {
        int capability;
        const char* name;
    } const needed[] = {{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
                        {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
                        {KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM"},
                        {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"}};
    for (const auto& need : needed)
        if (check_extension(fd, need.capability) == 0)
            throw HostLacks(std::string("this host's KVM lacks ") + need.name +
                            ": Linux 4.11 or later has it");
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

Kvm::Kvm() : fd_(open_kvm()) {
    require(fd_);
    cpuid_.count = CpuidTable::capacity;
    kvm_ioctl(fd_, kvm_number::get_supported_cpuid, &cpuid_, "KVM_GET_SUPPORTED_CPUID");
    read_cpuid(cpuid_, capabilities_);
    capabilities_.mmu = find_mmu_kind();
    if (uint32_t slots = check_extension(fd_, KVM_CAP_NR_MEMSLOTS)) capabilities_.memslots = slots;
    capabilities_.system_management = check_extension(fd_, KVM_CAP_X86_SMM);
    capabilities_.sync_regs = check_extension(fd_, KVM_CAP_SYNC_REGS) & KVM_SYNC_X86_REGS;
    capabilities_.pre_fault = check_extension(fd_, kvm_new::cap_pre_fault_memory);
    capabilities_.statistics = check_extension(fd_, KVM_CAP_BINARY_STATS_FD);
    capabilities_.exit_on_emulation_failure = check_extension(fd_, KVM_CAP_EXIT_ON_EMULATION_FAILURE);
    capabilities_.slot_zap_all_optional =
        check_extension(fd_, KVM_CAP_DISABLE_QUIRKS2) & kvm_new::quirk_slot_zap_all;
}

Descriptor Kvm::create_vm() const {
    return Descriptor(kvm_ioctl(fd_, KVM_CREATE_VM, 0ul, "KVM_CREATE_VM"));
}

std::size_t Kvm::run_area_size() const {
    return static_cast<std::size_t>(kvm_ioctl(fd_, KVM_GET_VCPU_MMAP_SIZE, 0ul, "KVM_GET_VCPU_MMAP_SIZE"));
}

}  // namespace gpremap
