/* x86-64: a hypercall is an `out`, the clock is the TSC. Valid C11, and C++20. */
#ifndef GPREMAP_GUEST_RUNTIME_X86_64_H
#define GPREMAP_GUEST_RUNTIME_X86_64_H

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

/* In ticks of this vCPU's TSC; no instruction is moved across. */
static inline uint64_t gpremap_timestamp(void) {
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

/* In a loop that waits. */
static inline void gpremap_pause(void) {
    __asm__ volatile("pause");
}

/* Keeps what the word holds, whoever else writes. */
static inline void gpremap_touch_for_write(volatile void* word) {
    __asm__ volatile("lock orq $0, %0" : "+m"(*(volatile uint64_t*)word));
}

/* 0, by a load that the processor cannot do without. */
static inline uint64_t gpremap_load_as_zero(uint64_t address) {
    uint64_t value;
    __asm__ volatile("movq (%1), %0; andq $0, %0" : "=r"(value) : "r"(address) : "cc", "memory");
    return value;
}

static inline void gpremap_copy(void* to, const void* from, uint64_t size) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size)::"memory");
}

static inline void gpremap_set(void* to, unsigned char byte, uint64_t size) {
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
}

#endif
