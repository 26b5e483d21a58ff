/* The guest's clock. Valid C11, and C++20. */
#ifndef GPREMAP_GUEST_RUNTIME_TIMESTAMP_H
#define GPREMAP_GUEST_RUNTIME_TIMESTAMP_H

#include <stdint.h>

/* In ticks of this vCPU's TSC; no instruction is moved across. */
static inline uint64_t gpremap_timestamp(void) {
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

#endif
