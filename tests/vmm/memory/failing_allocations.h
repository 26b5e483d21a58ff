// Makes allocations fail: linking this file replaces operator new of the whole program.
#pragma once

#include <cstdint>

namespace gpremap {

// How many more allocations of this thread succeed before one fails; negative: none fails.
extern thread_local int64_t allocations_left;

}  // namespace gpremap
