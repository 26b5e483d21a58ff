// What this process holds of its host, for whoever wants to see that it does not grow.
#pragma once

#include <cstdint>

namespace gpremap {

struct Footprint {
    uint64_t memory = 0;       // bytes: what is resident, and the tables that map it
    uint64_t descriptors = 0;  // open ones
    uint64_t mappings = 0;
    uint64_t huge_pages = 0;  // of the host's pools, which are not free: of all sizes and all processes
};

// Zero where the kernel does not say. Takes some milliseconds where there are many mappings.
Footprint read_footprint();

}  // namespace gpremap
