// A track: does orders one after another, in a thread and on a vCPU of its own, beside other tracks, and judges each
// by what its step expects.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vmm/calls/names.h"
#include "vmm/guests/agent/orders.h"
#include "vmm/memory/caller.h"
#include "vmm/memory/remapper.h"
#include "vmm/scenario/judging.h"
#include "vmm/scenario/result.h"
#include "vmm/scenario/run_state.h"
#include "vmm/scenario/timeline.h"
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
    // Ends the guest: whoever waits for it, or comes later, gets `cause` thrown.
    std::function<void(std::exception_ptr cause)> stop;
};

StepTarget target_of(Machine& machine);

// Who is told while the orders are followed: one function at a time, but for `sleep`. Called by the threads of all
// tracks.
struct StepWatcher {
    std::function<void(const StepResult&)> begins;  // which has no outcome yet; may throw what ends the run
    std::function<void(std::chrono::duration<double>)> sleep;  // for about so long; may throw, too
    std::function<void(const StepResult&)> done;
    std::function<void(const std::vector<MapEntry>&)> checkpoint;
    // The first step is about to begin. What the tracks share is for calls from outside of the steps, too.
    std::function<void(RunState&)> started = {};
};

// What all tracks of a run have in common. `companions` may be nobody.
struct RunContext {
    StepTarget target;
    StepWatcher watcher;
    Companions* companions = nullptr;
    std::mutex watched = {};  // held while the watcher is told something
};

class Track {
  public:
    Track(RunContext& context, RunState& state);

    // Throws RunState::Stopped where another track has ended the run, and what ends it otherwise: GuestDied, what the
    // watcher throws. The order that was being done then has a result where the guest died.
    void run(std::span<const Order* const> orders);

  private:
    using Clock = std::chrono::steady_clock;

    StepResult result_of(const Order& order) const;
    void run(const Order& order);
    void run(StepResult result);
    std::optional<Floor::Turn> turn_of(const ScenarioStep& step);
    void skip(size_t failed, StepResult result);
    void wait_for_others(const Order& order);
    void wait_until_due(const Order& order);
    void judge(StepResult& result);
    std::string describe_deadline(const StepResult& result) const;
    void finish(StepResult result);

    // One for each action, in track.cpp, and in linux_steps.cpp.
    template <typename Action>
    void act(const Action& action, StepResult& result);
    void query(uint64_t at, uint64_t size, StepResult& result);

    Performed perform_calls(unsigned vcpu, const abi::Step& step);
    void end_calls();
    abi::Report perform(const abi::Step& step, StepResult& result);
    static void note(const Performed& performed, StepResult& result);
    static int64_t note_call(const Performed& performed, StepResult& result);
    void follow(const CallAction& action, uint64_t result);
    std::optional<int64_t> expected_errno(int64_t returned) const;
    uint64_t first_stamp_page(const Operand& at) const;
    uint64_t reached(const WaitAction& action) const;

    RunContext& context_;
    RunState& state_;
    Orders orders_;
    Clock::time_point schedule_began_;
    std::map<const ScenarioStep*, std::vector<TurnTimes>> turns_;  // that have done what they were to
    // What is being done:
    const Order* order_ = nullptr;
    const ScenarioStep* step_ = nullptr;
    Names names_;                        // as they were when it began, and what it has changed since
    CallAction resize_;                  // of a schedule
    std::span<const CallAction> calls_;  // that are being made
    bool made_ = false;                  // the call has succeeded: what it defines is there
};

template <>
void Track::act(const PlugAction& action, StepResult& result);
template <>
void Track::act(const UnplugAction& action, StepResult& result);
template <>
void Track::act(const CommandAction& action, StepResult& result);

}  // namespace gpremap
