#include "vmm/kvm/kvm.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
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
        case MmuKind::stage2:
            return "stage2";
    }
    return "?";
}

uint32_t check_extension(const Descriptor& fd, int capability) {
    return static_cast<uint32_t>(std::max(0, ioctl(fd.get(), KVM_CHECK_EXTENSION, capability)));
}

namespace {

Descriptor open_kvm() {
    Descriptor fd(open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (fd.valid()) return fd;
    std::string why = std::strerror(errno);
    if (errno == ENOENT) throw HostLacks("/dev/kvm: " + why + ": " + mend_of_no_kvm);
    if (errno == EACCES || errno == EPERM)
        throw HostLacks("/dev/kvm: " + why + ": join the group that owns it (usually kvm), or run as root");
    throw HostLacks("/dev/kvm: " + why);
}

void require(const Descriptor& fd) {
    if (ioctl(fd.get(), KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        throw HostLacks(
            "/dev/kvm does not speak KVM API version 12: a Linux kernel of this century is needed");
    struct {
        int capability;
        const char* name;
    } const needed[] = {{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
                        {KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM"},
                        {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"}};
    for (const auto& need : needed)
        if (check_extension(fd, need.capability) == 0)
            throw HostLacks(std::string("this host's KVM lacks ") + need.name +
                            ": Linux 4.11 or later has it");
}

}  // namespace

Kvm::Kvm() : fd_(open_kvm()) {
    require(fd_);
    if (uint32_t slots = check_extension(fd_, KVM_CAP_NR_MEMSLOTS)) capabilities_.memslots = slots;
    capabilities_.pre_fault = check_extension(fd_, kvm_new::cap_pre_fault_memory);
    capabilities_.statistics = check_extension(fd_, KVM_CAP_BINARY_STATS_FD);
    examine_processor();
}

Descriptor Kvm::create_vm() const {
    return Descriptor(kvm_ioctl(fd_, KVM_CREATE_VM, capabilities_.vm_type, "KVM_CREATE_VM"));
}

std::size_t Kvm::run_area_size() const {
    return static_cast<std::size_t>(kvm_ioctl(fd_, KVM_GET_VCPU_MMAP_SIZE, 0ul, "KVM_GET_VCPU_MMAP_SIZE"));
}

}  // namespace gpremap
