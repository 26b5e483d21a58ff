// Carries requests out on a run: calls of the host's, between the steps; jobs, for which the guest calls; and what
// else touches the machine.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "vmm/base/json_file.h"
#include "vmm/calls/call.h"
#include "vmm/calls/catalogue.h"
#include "vmm/control/events.h"
#include "vmm/control/jobs.h"
#include "vmm/control/protocol.h"
#include "vmm/control/target.h"
#include "vmm/machine/floor.h"
#include "vmm/scenario/run_state.h"

namespace gpremap {

class Steering {
  public:
    // What it is given lives as long as it. `is_ending` says that nothing is to be waited for any more.
    Steering(ControlTarget target, RunState& state, EventRing& events, Jobs& jobs,
             std::function<bool()> is_ending);

    // A request whose arguments are checked, of those that the thread of calls does; by that thread. Throws CallError,
    // and what ends the run.
    JsonObject perform(const Request& request);
    bool is_paused() const { return is_paused_; }
    void end_pause();

    // Throws CallError for a job that cannot be one. By any thread.
    static void check(const JsonObject& job);
    // From its beginning to its end; by the thread of jobs. Throws what ends the run.
    void perform(const Job& job);

    uint64_t now_ns() const { return state_.ns_since_beginning(); }

  private:
    // Makes the calls, with their arguments; `step` is what the guest would be given.
    using Make = std::function<MadeCalls(abi::Step& step)>;

    Floor::Turn wait_for_floor() const;
    JsonObject stats() const;
    JsonObject query(const JsonObject& arguments) const;
    JsonObject call(const CallRow& row, const JsonObject& arguments);
    JsonObject batch(const JsonObject& arguments);
    JsonObject workload(const Request& request);
    JsonObject pause();
    MadeCalls make(std::span<const CallAction> calls, const Names& names, abi::Step& step,
                   const JsonObject& about, const Make& how);

    // How a job stands between two pieces.
    struct Resizing {
        uint64_t piece = 0;              // bytes, at most
        std::optional<uint64_t> target;  // bytes; known once it has begun
        bool is_over = false;
        std::string why, error;  // as of Job
    };
    void perform_piece(Job& job, Resizing& resizing);
    void resize_once(Job& job, Resizing& resizing, const Names& names);

    const ControlTarget target_;
    RunState& state_;
    EventRing& events_;
    Jobs& jobs_;
    const std::function<bool()> is_ending_;
    std::atomic<bool> is_paused_ = false;
};

}  // namespace gpremap
