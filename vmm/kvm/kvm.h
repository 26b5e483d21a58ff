// KVM as this program uses it: ioctls, and what the host's KVM can do.
//
// <linux/kvm.h> of Linux 6.1 is what Debian 12 has. What it lacks, and the ioctl numbers that it gets
// wrong in C++, are defined here and nowhere else.
#pragma once

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cstdint>
#include <string>

#include "vmm/base/descriptor.h"
#include "vmm/kvm/architecture.h"

namespace gpremap {

// An ioctl that has no reason to fail: throws std::system_error with what was attempted.
template <typename Argument>
int kvm_ioctl(const Descriptor& fd, unsigned long request, Argument argument, const char* attempted);

template <typename Argument>
int kvm_ioctl(const Descriptor& fd, unsigned long request, Argument argument, const char* attempted) {
    int result = ioctl(fd.get(), request, argument);
    if (result < 0) throw_errno(attempted);
    return result;
}

// ---- structures that end in a flexible array ----
//
// In C++ the header's own are one byte too long (the empty struct in front of the array), which also
// changes the size that _IOW encodes: the kernel then answers EINVAL. Fixed arrays instead, and
// numbers encoded with the size that C has.

struct SignalMask {
    uint32_t length;  // bytes of `set`
    uint8_t set[8];   // the kernel's sigset_t
};

struct StatDescription {
    uint32_t flags;
    int16_t exponent;
    uint16_t size;  // values, of 8 bytes each
    uint32_t offset;
    uint32_t bucket_size;
    // the name follows
};
static_assert(sizeof(StatDescription) == 16);

namespace kvm_number {
struct CpuidHeader {
    uint32_t count, padding;
};
struct SignalMaskHeader {
    uint32_t length;
};
struct MsrsHeader {
    uint32_t count, padding;
};
static_assert(sizeof(CpuidHeader) == 8 && sizeof(SignalMaskHeader) == 4);
inline constexpr unsigned long get_supported_cpuid = _IOWR(KVMIO, 0x05, CpuidHeader);
inline constexpr unsigned long set_cpuid2 = _IOW(KVMIO, 0x90, CpuidHeader);
inline constexpr unsigned long set_signal_mask = _IOW(KVMIO, 0x8b, SignalMaskHeader);
inline constexpr unsigned long set_msrs = _IOW(KVMIO, 0x89, MsrsHeader);
}  // namespace kvm_number

// ---- newer than the 6.1 header ----

namespace kvm_new {
inline constexpr int cap_pre_fault_memory = 236;  // Linux 6.11, as is what follows
struct PreFaultMemory {                           // KVM takes what it has done off the front
    uint64_t gpa;
    uint64_t size;
    uint64_t flags;
    uint64_t padding[5];
};
static_assert(sizeof(PreFaultMemory) == 64);
inline constexpr unsigned long pre_fault_memory = _IOWR(KVMIO, 0xd5, PreFaultMemory);
inline constexpr uint64_t quirk_slot_zap_all = 1u << 7;  // Linux 6.12
}  // namespace kvm_new

// ---- what the host can do ----

enum class MmuKind { ept, npt, shadow, stage2 };
const char* name_of(MmuKind kind);

struct KvmCapabilities {
    MmuKind mmu = MmuKind::shadow;
    uint32_t memslots = 32;                  // how many one VM can have
    uint32_t guest_address_bits = 36;        // guest-physical addresses are below 2^this
    bool gigabyte_pages = false;             // the guest may use 1 GiB leaves
    bool system_management = false;          // KVM_CAP_X86_SMM
    bool sync_regs = false;                  // registers come and go with KVM_RUN
    bool pre_fault = false;                  // KVM_PRE_FAULT_MEMORY
    bool statistics = false;                 // KVM_GET_STATS_FD
    bool exit_on_emulation_failure = false;  // KVM_CAP_EXIT_ON_EMULATION_FAILURE
    bool slot_zap_all_optional = false;      // deleting a slot can leave the mappings of the others alone
    unsigned long vm_type = 0;               // of KVM_CREATE_VM
};

// What KVM_CHECK_EXTENSION says; 0 where it knows no such capability.
uint32_t check_extension(const Descriptor& fd, int capability);

// What to do where there is no /dev/kvm: kvm_<architecture>.cpp.
extern const char* const mend_of_no_kvm;

// The open /dev/kvm.
class Kvm {
  public:
    // Throws HostLacks, with the mend, where /dev/kvm is missing, closed to this user, or too old.
    Kvm();

    const KvmCapabilities& capabilities() const { return capabilities_; }
    const VcpuModel& vcpu_model() const { return vcpu_model_; }

    Descriptor create_vm() const;
    // Bytes of the kvm_run page and what follows it.
    std::size_t run_area_size() const;

  private:
    // What is the processor's: kvm_<architecture>.cpp.
    void examine_processor();

    Descriptor fd_;
    VcpuModel vcpu_model_ = {};
    KvmCapabilities capabilities_;
};

}  // namespace gpremap
