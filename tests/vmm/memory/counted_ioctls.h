// Counts the ioctls of the program that it is linked into, by request.
#pragma once

#include <cstdint>

namespace gpremap {

// How often `request` has been made, by any thread, since the start.
uint64_t ioctls_made(unsigned long request);

}  // namespace gpremap
