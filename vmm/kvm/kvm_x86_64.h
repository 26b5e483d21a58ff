// KVM's interface on x86-64.
#pragma once

#include <linux/kvm.h>

#include <cstdint>

namespace gpremap {

// The header's own end in a flexible array, see kvm.h.

struct CpuidTable {
    static constexpr uint32_t capacity = 256;
    uint32_t count;
    uint32_t padding;
    kvm_cpuid_entry2 entries[capacity];
};

struct MsrTable {
    static constexpr uint32_t capacity = 8;
    uint32_t count;
    uint32_t padding;
    kvm_msr_entry entries[capacity];
};

using VcpuModel = CpuidTable;
using SpecialRegisters = kvm_sregs;

inline uint64_t instruction_address(const kvm_regs& regs) {
    return regs.rip;
}

// In a loop that waits.
inline void pause_briefly() {
    __builtin_ia32_pause();
}

}  // namespace gpremap
