#include "vmm/scenario/run_state.h"

#include <algorithm>
#include <set>
#include <string>

#include "vmm/calls/effect.h"

namespace gpremap {

// ---- names ----

Names RunState::names() const {
    const Lock lock(mutex_);
    return names_;
}

void RunState::follow(const CallAction& call, uint64_t result, const Names& before) {
    const Lock lock(mutex_);
    follow_call(call, result, before, names_);
    changed_.notify_all();
}

void RunState::set_plugged(const std::string& name, const Plugged& plugged) {
    const Lock lock(mutex_);
    plugged_[name] = plugged;
}

std::optional<RunState::Plugged> RunState::plugged(const std::string& name) const {
    const Lock lock(mutex_);
    const auto found = plugged_.find(name);
    if (found == plugged_.end()) return std::nullopt;
    return found->second;
}

// ---- waiting ----

void RunState::throw_if_stopped() const {
    if (cause_) throw Stopped();
}

void RunState::check() const {
    const Lock lock(mutex_);
    throw_if_stopped();
}

void RunState::wait_for_begin(size_t number) {
    Lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_.at(number) || first_failed_ || cause_; });
    throw_if_stopped();
}

bool RunState::is_settled(const std::set<std::string>& needed) const {
    return std::ranges::all_of(
        needed, [&](const std::string& name) { return names_.find(name) || missing_.has(name); });
}

void RunState::wait_for_ranges(const ScenarioStep& step) {
    const std::set<std::string> needed = ranges_needed_by(step);
    Lock lock(mutex_);
    changed_.wait(lock, [&] { return is_settled(needed) || first_failed_ || cause_; });
    throw_if_stopped();
}

void RunState::pause(std::chrono::duration<double> duration, const Sleep& sleep) const {
    // So long it takes until the failure of another track is seen.
    constexpr std::chrono::duration<double> slice = std::chrono::milliseconds(50);
    const auto end = Clock::now() + duration;
    for (std::chrono::duration<double> rest = duration; rest.count() > 0; rest = end - Clock::now()) {
        sleep(std::min(rest, slice));
        const Lock lock(mutex_);
        throw_if_stopped();
        if (first_failed_) return;
    }
}

// ---- orders ----

void RunState::begin(size_t number) {
    const Lock lock(mutex_);
    begun_.at(number) = true;
    changed_.notify_all();
}

std::optional<size_t> RunState::reason_to_skip(const ScenarioStep& step) const {
    const Lock lock(mutex_);
    return first_failed_ ? first_failed_ : missing_.needed_by(step);
}

void RunState::note(const ScenarioStep& step, Made made, size_t failed) {
    const Lock lock(mutex_);
    if (made == Made::yes) missing_.made(step);
    if (made == Made::no) missing_.not_made(step, failed);
    changed_.notify_all();
}

const StepResult& RunState::end(StepResult result) {
    const Lock lock(mutex_);
    std::optional<StepResult>& place = results_.at(result.index);
    place = std::move(result);
    if (!place->ok && on_failure_ == OnFailure::skip_the_rest && !first_failed_) first_failed_ = place->index;
    changed_.notify_all();
    return *place;
}

std::vector<StepResult> RunState::results() const {
    const Lock lock(mutex_);
    std::vector<StepResult> all;
    for (const auto& result : results_)
        if (result) all.push_back(*result);
    return all;
}

// ---- the end of all ----

void RunState::stop(std::exception_ptr cause) {
    const Lock lock(mutex_);
    if (!cause_) cause_ = cause;
    changed_.notify_all();
}

void RunState::rethrow_cause() const {
    const Lock lock(mutex_);
    if (cause_) std::rethrow_exception(cause_);
}

uint64_t RunState::ns_since_beginning() const {
    return static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - began_).count());
}

}  // namespace gpremap
