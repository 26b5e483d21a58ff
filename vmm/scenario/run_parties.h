// Who takes part in a run beside the steps: what they are done on, who is told of them, and what lives beside them.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "vmm/memory/caller.h"
#include "vmm/memory/remapper.h"
#include "vmm/scenario/result.h"
#include "vmm/guests/agent/orders.h"
#include "vmm/workloads/companions.h"

namespace gpremap {

class Machine;

// What steps are done on: a machine. Called by the threads of all tracks, each with a vCPU of its own.
struct StepTarget {
    CallerMemory& memory;  // the guest's own
    std::function<Performed(unsigned vcpu, const abi::Step&)> perform;
    std::function<std::vector<MapEntry>()> map;
    std::function<uint64_t()> held_bytes;  // of the host: by the guest's ranges and the warm pool
    std::function<uint64_t()> pool_ready;  // bytes
};

StepTarget target_of(Machine& machine);

// Who is told while the orders are followed: one function at a time, but for `sleep`. Called by the threads of all
// tracks.
struct StepWatcher {
    std::function<void(const StepResult&)> begins;  // which has no outcome yet; may throw what ends the run
    std::function<void(std::chrono::duration<double>)> sleep;  // for about so long; may throw, too
    std::function<void(const StepResult&)> done;
    std::function<void(const std::vector<MapEntry>&)> checkpoint;
};

}  // namespace gpremap
