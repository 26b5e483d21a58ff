// Counting in memory that another vCPU remaps, and that remapping: how lost, doubled, misplaced and stale
// accesses are found. abi/agent.h says what Arena and Remap hold.
//
// Both steps keep in the Arena how far they are, so that one that has run into a fault is simply done again.
#pragma once

#include "guest/abi/agent.h"

namespace gpremap {

int64_t hammer(const abi::Step& step, abi::Report& report, uint64_t vcpu);
int64_t shuffle(const abi::Step& step, abi::Report& report, uint64_t vcpu);

// Whether `step` has reckoned with `fault` and is to be done again. Notes the fault in the Arena.
bool goes_on_after(const abi::Fault& fault, const abi::Step& step, uint64_t vcpu);

}  // namespace gpremap
