/* How a guest calls the VMM. Valid C11, and C++20. */
#ifndef GPREMAP_GUEST_RUNTIME_CALL_H
#define GPREMAP_GUEST_RUNTIME_CALL_H

#include "guest/abi/hypercall.h"

/* The result, or -errno. */
static inline int64_t gpremap_hypercall(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                                        uint64_t a4, uint64_t a5) {
    int64_t rax = (int64_t)number;
    register uint64_t r10 __asm__("r10") = a3;
    register uint64_t r8 __asm__("r8") = a4;
    register uint64_t r9 __asm__("r9") = a5;
    __asm__ volatile("outl %%eax, %[port]"
                     : "+a"(rax)
                     : "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8),
                       "r"(r9), [port] "N"(GPREMAP_HYPERCALL_PORT)
                     : "memory");
    return rax;
}

/* -1 to -4095 are errors. */
static inline int gpremap_is_error(int64_t result) {
    return result < 0 && result >= -4095;
}

#ifdef __cplusplus
namespace gpremap {

inline constexpr int64_t error_einval = -22;  // for a step that means nothing, too

inline int64_t hypercall(abi::Call number, uint64_t a0 = 0, uint64_t a1 = 0, uint64_t a2 = 0, uint64_t a3 = 0,
                         uint64_t a4 = 0, uint64_t a5 = 0) {
    return gpremap_hypercall(static_cast<uint64_t>(number), a0, a1, a2, a3, a4, a5);
}

}  // namespace gpremap
#endif

#endif
