// The workloads that the agent has: each runs until the host stops it, on the range that its area states
// (guest/abi/workload.h). How far it is, is kept there, so that one that has run into a fault is simply begun anew.
#pragma once

#include "guest/abi/agent.h"

namespace gpremap {

// The step Op::workload on this vCPU. Its result is how many operations were done; of a program, what it returned.
int64_t run_workload(const abi::Step& step, abi::Report& report, uint64_t vcpu);

// Whether `fault` is what the workload meets when its range moves: then this waits until it is told the new place, and
// the step is to be begun anew.
bool workload_goes_on_after(const abi::Fault& fault, const abi::Step& step, uint64_t vcpu);

// Of Op::call: tells the workloads whose ranges the call has moved, if it has succeeded.
void tell_followers(const abi::Step& step, int64_t result);

}  // namespace gpremap
