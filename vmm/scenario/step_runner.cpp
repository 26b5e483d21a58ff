#include "vmm/scenario/step_runner.h"

#include <map>
#include <string>
#include <thread>
#include <utility>

#include "vmm/base/threads.h"
#include "vmm/machine/machine.h"
#include "vmm/workloads/area.h"

namespace gpremap {

namespace {

using OrdersOfTrack = std::vector<const Order*>;

// By the number of the track.
std::map<size_t, OrdersOfTrack> by_track(const std::vector<Order>& timeline) {
    std::map<size_t, OrdersOfTrack> tracks;
    for (const Order& order : timeline) tracks[order.step->track_number].push_back(&order);
    return tracks;
}

// Of the thread.
const std::string& name_of(const ScenarioStep& step) {
    return !step.track.empty() ? step.track : !step.label.empty() ? step.label : step.verb;
}

// Commands that run until all other tracks have ended, each the last step of its track.
class Background {
  public:
    Background(CallerMemory& memory, const std::vector<Order>& timeline) : memory_(memory) {
        for (const Order& order : timeline)
            if (is_background(*order.step)) vcpus_.push_back(order.step->vcpu);
        for (const unsigned vcpu : vcpus_) WorkloadArea(memory_, vcpu).go_on();
    }
    void stop() {
        for (const unsigned vcpu : vcpus_) WorkloadArea(memory_, vcpu).stop();
    }

  private:
    CallerMemory& memory_;
    std::vector<unsigned> vcpus_;
};

}  // namespace

StepTarget target_of(Machine& machine) {
    return {machine.guest(),
            [&machine](unsigned vcpu, const abi::Step& step) { return machine.perform(vcpu, step); },
            [&machine] { return machine.remapper().map(); },
            [&machine] { return machine.remapper().resident_bytes() + machine.remapper().pool().resident; },
            [&machine] { return machine.remapper().pool().ready; },
            [&machine](std::exception_ptr cause) { machine.guest().stop(cause); }};
}

StepRunner::StepRunner(StepTarget target, StepWatcher watcher, Companions* companions, OnFailure on_failure)
    : context_{std::move(target), std::move(watcher), companions}, on_failure_(on_failure) {}

void StepRunner::run(const std::vector<Order>& timeline) {
    const auto tracks = by_track(timeline);
    state_.emplace(timeline.size(), tracks.size(), on_failure_);
    if (context_.companions) context_.companions->begin(state_->began());
    if (context_.watcher.started) context_.watcher.started(*state_);
    auto follow = [&](const OrdersOfTrack& orders) {
        try {
            Track(context_, *state_).run(orders);
        } catch (const RunState::Stopped&) {
        } catch (...) {
            state_->stop(std::current_exception());
        }
    };
    Background background(context_.target.memory, timeline);
    std::vector<std::jthread> threads, in_background;
    try {
        for (const auto& [number, orders] : tracks) {
            if (number == 0) continue;
            auto& with_its_like = is_background(*orders.back()->step) ? in_background : threads;
            with_its_like.emplace_back([&follow, &orders = orders] {  // clang 14 takes no binding as it is
                begin_thread(ThreadKind::track, name_of(*orders.front()->step));
                follow(orders);
            });
        }
    } catch (...) {
        state_->stop(std::current_exception());
    }
    if (auto main = tracks.find(0); main != tracks.end()) follow(main->second);
    threads.clear();  // joins them
    background.stop();
    in_background.clear();
    state_->rethrow_cause();
}

std::vector<StepResult> StepRunner::results() const {
    return state_ ? state_->results() : std::vector<StepResult>();
}

}  // namespace gpremap
