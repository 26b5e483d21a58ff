// Accessing memory without a break, with an eye on the clock: how long a vCPU is held up by what others do. abi/agent.h says
// what a Pulse holds. How far the step is, is kept there, so that one that has run into a fault is simply
// done again.
#pragma once

#include "guest/abi/agent.h"

namespace gpremap {

int64_t pulse(const abi::Step& step);

// Whether `fault` is what `step` meets when its range moves, so that it is to be done again at the other
// place.
bool pulse_goes_on_after(const abi::Fault& fault, const abi::Step& step);

}  // namespace gpremap
