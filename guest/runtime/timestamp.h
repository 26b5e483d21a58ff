// The guest's clock.
#pragma once

#include <stdint.h>

namespace gpremap {

// In ticks of this vCPU's TSC; no instruction is moved across.
inline uint64_t timestamp() {
    uint32_t low, high;
    asm volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high)::"memory");
    return static_cast<uint64_t>(high) << 32 | low;
}

}  // namespace gpremap
