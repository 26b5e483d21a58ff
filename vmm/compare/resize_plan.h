// The resizes that a scenario asks for, taken out of it.
#pragma once

#include <string>
#include <vector>

#include "vmm/compare/resizing.h"
#include "vmm/scenario/reading.h"

namespace gpremap {

struct Schedule {
    std::string range;                // the one that is resized
    uint64_t initial = 0;             // bytes
    CallAction map;                   // makes it, on gpremap
    std::vector<Resizing> resizings;  // in their order
    std::vector<CallAction> calls;    // which do that on gpremap

    uint64_t least() const;
    uint64_t most() const;
};

// Of the steps, those that map and resize one range count; `name` says which, where several are resized.
// Throws ConfigError where there is none, and where a way cannot do one of its resizes.
Schedule schedule_of(const Scenario& scenario, const std::string& name, const std::vector<Way>& ways);

}  // namespace gpremap
