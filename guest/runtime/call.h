// How the agent calls the VMM.
#pragma once

#include "guest/abi/agent.h"

namespace gpremap {

inline constexpr int64_t error_einval = -22;  // for a step that means nothing, too

inline int64_t hypercall(abi::Call number, uint64_t a0 = 0, uint64_t a1 = 0, uint64_t a2 = 0, uint64_t a3 = 0,
                         uint64_t a4 = 0, uint64_t a5 = 0) {
    int64_t rax = static_cast<int64_t>(number);
    register uint64_t r10 asm("r10") = a3;
    register uint64_t r8 asm("r8") = a4;
    register uint64_t r9 asm("r9") = a5;
    asm volatile("outl %%eax, %[port]"
                 : "+a"(rax)
                 : "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9), [port] "N"(GPREMAP_HYPERCALL_PORT)
                 : "memory");
    return rax;
}

}  // namespace gpremap
