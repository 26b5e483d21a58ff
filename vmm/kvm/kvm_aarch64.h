// KVM's interface on aarch64.
#pragma once

#include <linux/kvm.h>

#include <cstdint>

namespace gpremap {

using VcpuModel = kvm_vcpu_init;

// Of EL1.
struct SpecialRegisters {
    uint64_t sctlr;    // paging, caches, what EL0 may do
    uint64_t cpacr;    // whether EL0 may use vector registers
    uint64_t ttbr0;    // the root of its page tables
    uint64_t tcr;      // and their form
    uint64_t mair;     // kinds of memory
    uint64_t vbar;     // its vectors
    uint64_t cntkctl;  // whether EL0 may read the counter
    uint64_t esr;      // of the last exception: class and syndrome
    uint64_t far;      // its address
    uint64_t tpidr;    // free for its own use
};

// kvm_regs: regs are what runs, at EL0 or EL1; sp_el1, elr_el1 and spsr[0] are EL1's own. Vector registers are left alone.
inline uint64_t instruction_address(const kvm_regs& regs) {
    return regs.regs.pc;
}

// In a loop that waits.
inline void pause_briefly() {
    asm volatile("yield");
}

}  // namespace gpremap
