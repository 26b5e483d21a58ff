// Does the steps of a scenario on a machine, one after another, and judges each by what it expects.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "vmm/calls/names.h"
#include "vmm/machine/machine.h"
#include "vmm/scenario/result.h"
#include "vmm/scenario/scenario.h"

namespace gpremap {

// What a schedule asks for after `done` of its steps, in bytes; both ends are multiples of the granule.
uint64_t scheduled_size(const InflateAction& action, unsigned done, uint64_t granule);
// The call that takes its range from `before` to `size` bytes.
CallAction resize_call(const InflateAction& action, uint64_t before, uint64_t size);

// Who is told while the steps are done.
struct StepWatcher {
    std::function<void(const ScenarioStep&)> begins;
    std::function<void(const StepResult&)> done;
    std::function<void(const std::vector<MapEntry>&)> checkpoint;
};

class StepRunner {
  public:
    // `granule` in bytes.
    StepRunner(Machine& machine, uint64_t granule, StepWatcher watcher)
        : machine_(machine), granule_(granule), watcher_(std::move(watcher)) {}

    // Throws GuestDied as a Machine does; results() then ends with that step.
    void run(const std::vector<ScenarioStep>& steps);

    const std::vector<StepResult>& results() const { return results_; }

  private:
    enum class Went { on, wrong };  // `wrong`: it was given up, and has been judged

    void run(const ScenarioStep& step);
    void run_repeat(const RepeatAction& action);
    void run_inflate(const ScenarioStep& step, const InflateAction& action);
    void finish(StepResult result);

    void act(const CallAction& action, StepResult& result);
    void act(const BatchAction& action, StepResult& result);
    void act(const PatternAction& action, StepResult& result);
    void act(const TouchAction& action, StepResult& result);
    void act(const CopyAction& action, StepResult& result);
    void act(const AccessAction& action, StepResult& result);
    void act(const ExecAction& action, StepResult& result);
    void act(const SleepAction& action, StepResult& result);
    void act(const CheckpointAction& action, StepResult& result);
    // These two are made of steps of their own: run_inflate, run_repeat.
    void act(const InflateAction&, StepResult&) {}
    void act(const RepeatAction&, StepResult&) {}

    uint64_t held_bytes() const;
    Performed perform(const abi::Step& step) { return machine_.perform(step_->vcpu, step); }
    Performed perform(const abi::Step& step, StepResult& result);
    Performed call(abi::Call number, const std::vector<uint64_t>& arguments, StepResult& result);

    void write_agent(uint64_t at, const void* bytes, size_t size);
    uint64_t read_agent(uint64_t at);
    std::vector<abi::ExtentInfo> read_extents(uint64_t count);

    Went judge_access(const abi::Report& report, StepResult& result) const;
    Went judge_errno(int64_t returned, StepResult& result) const;
    void judge_address(const CallAction& action, uint64_t returned, StepResult& result) const;
    uint64_t first_stamp_page(const Operand& at) const;

    Machine& machine_;
    uint64_t granule_;
    StepWatcher watcher_;
    Names names_;
    std::vector<StepResult> results_;
    const ScenarioStep* step_ = nullptr;
};

}  // namespace gpremap
