// What the tracks of a run share. Each function takes the one lock.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "vmm/calls/call.h"
#include "vmm/calls/names.h"
#include "vmm/machine/floor.h"
#include "vmm/scenario/missing.h"
#include "vmm/scenario/result.h"

namespace gpremap {

// Of a step: those that need what it would have made are skipped, or all that have not begun.
enum class OnFailure { go_on, skip_the_rest };

class RunState {
  public:
    // Thrown in a track where another one has ended the run.
    struct Stopped {};
    using Sleep = std::function<void(std::chrono::duration<double>)>;

    // Of so many orders, on so many tracks.
    RunState(size_t orders, size_t tracks, OnFailure on_failure)
        : tracks_(tracks), on_failure_(on_failure), results_(orders), begun_(orders) {}

    bool has_several_tracks() const { return tracks_ > 1; }

    // ---- names ----

    Names names() const;  // as they are now
    // What a call that returned `result` means for them; its operands are those of `before`.
    void follow(const CallAction& call, uint64_t result, const Names& before);

    // RAM that has been plugged, by the name of its step: bytes.
    struct Plugged {
        uint64_t at = 0;
        uint64_t size = 0;
    };
    void set_plugged(const std::string& name, const Plugged& plugged);
    std::optional<Plugged> plugged(const std::string& name) const;

    // Held by a step from the time when it sees the names until it has changed them; it may make calls.
    Floor& floor() { return floor_; }

    // ---- waiting ---- (they throw Stopped)

    // Until an order has begun, or has been skipped; or all is to be skipped.
    void wait_for_begin(size_t number);
    // Until the ranges that the step needs are made, or are known to be missing; or all is to be skipped.
    void wait_for_ranges(const ScenarioStep& step);
    // With `sleep`, which is called without the lock, and may throw. Ends early where all is to be skipped.
    void pause(std::chrono::duration<double> duration, const Sleep& sleep) const;
    void check() const;

    // ---- orders ----

    void begin(size_t number);
    // The failed step because of which this one is not done, if any.
    std::optional<size_t> reason_to_skip(const ScenarioStep& step) const;
    enum class Made { yes, no, nothing };
    // Whether what the step defines is there now; `failed` is the result because of which it is not.
    void note(const ScenarioStep& step, Made made, size_t failed);
    // The result stays where it is.
    const StepResult& end(StepResult result);
    // Of those that have ended, by index.
    std::vector<StepResult> results() const;

    // ---- the end of all ----

    void stop(std::exception_ptr cause);
    void rethrow_cause() const;

    std::chrono::steady_clock::time_point began() const { return began_; }
    uint64_t ns_since_beginning() const;

  private:
    using Clock = std::chrono::steady_clock;
    using Lock = std::unique_lock<std::mutex>;

    void throw_if_stopped() const;
    bool is_settled(const std::set<std::string>& needed) const;

    const size_t tracks_;
    const OnFailure on_failure_;
    const Clock::time_point began_ = Clock::now();
    Floor floor_;
    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    Names names_;
    Missing missing_;
    std::map<std::string, Plugged> plugged_;
    std::optional<size_t> first_failed_;  // because of which all that is left is skipped
    std::vector<std::optional<StepResult>> results_;
    std::vector<bool> begun_;
    std::exception_ptr cause_;
};

}  // namespace gpremap
