// Gives a machine the orders of a scenario, one after another, and judges each by what its step expects.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "vmm/calls/names.h"
#include "vmm/guests/agent/orders.h"
#include "vmm/machine/machine.h"
#include "vmm/scenario/missing.h"
#include "vmm/scenario/result.h"
#include "vmm/scenario/timeline.h"

namespace gpremap {

// Who is told while the orders are followed.
struct StepWatcher {
    std::function<void(const StepResult&)> begins;  // which has no outcome yet; may throw what ends the run
    std::function<void(std::chrono::duration<double>)> sleep;  // for about so long; may throw, too
    std::function<void(const StepResult&)> done;
    std::function<void(const std::vector<MapEntry>&)> checkpoint;
};

class StepRunner {
  public:
    StepRunner(Machine& machine, StepWatcher watcher);

    // Each order has a result, with the order's number as its index. One that needs a range which a failed
    // step would have made is skipped. Throws GuestDied as a Machine does; results() then ends with that order.
    void run(const std::vector<Order>& timeline);

    const std::vector<StepResult>& results() const { return results_; }

  private:
    using Clock = std::chrono::steady_clock;

    void run(StepResult result);
    void skip(size_t failed, StepResult result);
    uint64_t ns_since_beginning() const;
    void wait_until_due(const Order& order);
    void finish(StepResult result);

    // One for each action, in step_runner.cpp.
    template <typename Action>
    void act(const Action& action, StepResult& result);
    void query(uint64_t at, uint64_t size, StepResult& result);

    abi::Report perform(const abi::Step& step, StepResult& result);
    static void note(const Performed& performed, StepResult& result);
    static int64_t note_call(const Performed& performed, StepResult& result);
    void follow(const CallAction& action, uint64_t result);
    std::optional<int64_t> expected_errno(int64_t returned) const;
    uint64_t held_bytes() const;
    uint64_t first_stamp_page(const Operand& at) const;

    Machine& machine_;
    Orders orders_;
    StepWatcher watcher_;
    Names names_;
    Missing missing_;
    std::vector<StepResult> results_;
    Clock::time_point began_;
    Clock::time_point schedule_began_;
    // What is being done:
    const Order* order_ = nullptr;
    const ScenarioStep* step_ = nullptr;
    bool made_ = false;  // the call has succeeded: what it defines is there
};

}  // namespace gpremap
