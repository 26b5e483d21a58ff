// Counts the ioctls of the program that it is linked into, by request, and the allocations of its vCPUs' threads.
#pragma once

#include <cstdint>

namespace gpremap {

// How often `request` has been made, by any thread, since the start.
uint64_t ioctls_made(unsigned long request);

// How many allocations threads have made since their first KVM_RUN.
uint64_t allocations_of_vcpus();

}  // namespace gpremap
