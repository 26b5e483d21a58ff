/* aarch64: a hypercall is a store to the doorbell, the clock is the virtual counter. Valid C11, and C++20. */
#ifndef GPREMAP_GUEST_RUNTIME_AARCH64_H
#define GPREMAP_GUEST_RUNTIME_AARCH64_H

#include "guest/abi/aarch64.h"
#include "guest/abi/hypercall.h"

/*
 * The result, or -errno. A call is a point between what comes before it and after it: `dsb` has every earlier store of
 * this vCPU seen by all before the VMM looks, and the doorbell is device memory, which later accesses could overtake.
 */
static inline int64_t gpremap_hypercall(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                                        uint64_t a4, uint64_t a5) {
    register uint64_t x8 __asm__("x8") = number;
    register uint64_t x0 __asm__("x0") = a0;
    register uint64_t x1 __asm__("x1") = a1;
    register uint64_t x2 __asm__("x2") = a2;
    register uint64_t x3 __asm__("x3") = a3;
    register uint64_t x4 __asm__("x4") = a4;
    register uint64_t x5 __asm__("x5") = a5;
    __asm__ volatile("dsb ish; str w8, [%[bell]]; dsb ish"
                     : "+r"(x0)
                     : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5),
                       "r"(x8), [bell] "r"(GPREMAP_DOORBELL + 4 * GPREMAP_HYPERCALL_PORT)
                     : "memory");
    return (int64_t)x0;
}

/* In ticks of the virtual counter; no instruction is moved across. */
static inline uint64_t gpremap_timestamp(void) {
    uint64_t ticks;
    __asm__ volatile("dsb ish; isb; mrs %0, cntvct_el0; isb" : "=r"(ticks)::"memory");
    return ticks;
}

/* In a loop that waits. */
static inline void gpremap_pause(void) {
    __asm__ volatile("yield");
}

/* Keeps what the word holds, whoever else writes. One instruction, which is a write where it faults: of an exclusive pair
   the load would be what faults. */
static inline void gpremap_touch_for_write(volatile void* word) {
    __asm__ volatile(".arch_extension lse; stset xzr, [%0]" : : "r"(word) : "memory");
}

/* 0, by a load that the processor cannot do without. */
static inline uint64_t gpremap_load_as_zero(uint64_t address) {
    uint64_t value;
    __asm__ volatile("ldr %0, [%1]; eor %0, %0, %0" : "=&r"(value) : "r"(address) : "memory");
    return value;
}

/* By pairs with write-back, then byte by byte. */
static inline void gpremap_copy(void* to, const void* from, uint64_t size) {
    uint64_t low, high;
    for (; size >= 16; size -= 16)
        __asm__ volatile("ldp %2, %3, [%1], #16; stp %2, %3, [%0], #16"
                         : "+r"(to), "+r"(from), "=&r"(low), "=&r"(high)::"memory");
    for (; size > 0; size--)
        __asm__ volatile("ldrb %w2, [%1], #1; strb %w2, [%0], #1"
                         : "+r"(to), "+r"(from), "=&r"(low)::"memory");
}

static inline void gpremap_set(void* to, unsigned char byte, uint64_t size) {
    const uint64_t word = byte * UINT64_C(0x0101010101010101);
    for (; size >= 16; size -= 16)
        __asm__ volatile("stp %1, %1, [%0], #16" : "+r"(to) : "r"(word) : "memory");
    for (; size > 0; size--) __asm__ volatile("strb %w1, [%0], #1" : "+r"(to) : "r"(word) : "memory");
}

#endif
