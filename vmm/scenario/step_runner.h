// Has a machine do the orders of a scenario: each track in a thread of its own, the main one in the caller's.
#pragma once

#include <optional>
#include <vector>

#include "vmm/scenario/result.h"
#include "vmm/scenario/run_state.h"
#include "vmm/scenario/timeline.h"
#include "vmm/scenario/track.h"

namespace gpremap {

class StepRunner {
  public:
    // Companions, where there are any, live as long as this.
    StepRunner(StepTarget target, StepWatcher watcher, Companions* companions = nullptr,
               OnFailure on_failure = OnFailure::go_on);

    // Once. Each order has a result, with the order's number as its index. One that needs a range which a failed
    // step would have made is skipped. What ends one track, a death of the guest or what the watcher throws, ends all
    // of them after the orders that they are at, and is thrown; results() then has those that were done.
    void run(const std::vector<Order>& timeline);

    std::vector<StepResult> results() const;

  private:
    RunContext context_;
    OnFailure on_failure_;
    std::optional<RunState> state_;
};

}  // namespace gpremap
