#include "vmm/scenario/track_assignment.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "vmm/scenario/missing.h"

namespace gpremap {

namespace {

bool states_vcpu(const ScenarioStep& step) {
    return step.vcpu_place.line != 0;
}

// Calls `visit` with each step, those inside of a `repeat` after it.
template <typename Steps, typename Visit>
void for_each_step(Steps&& steps, const Visit& visit) {
    for (auto& step : steps) {
        visit(step);
        if (auto* repeat = std::get_if<RepeatAction>(&step.action)) for_each_step(repeat->steps, visit);
    }
}

// ---- tracks ----

void inherit(const ScenarioStep& repeat, ScenarioStep& step) {
    if (!step.track.empty() || !step.during.empty())
        (step.track.empty() ? step.during_place : step.track_place)
            .fail("a step inside of a repeat is on the track of the repeat; state it there");
    step.track = repeat.track;
    step.track_number = repeat.track_number;
    if (states_vcpu(step)) return;
    step.vcpu = repeat.vcpu;
    step.vcpu_place = repeat.vcpu_place;
}

void number_tracks(std::vector<ScenarioStep>& steps) {
    std::map<std::string, size_t> numbers{{"", 0}};
    size_t next = 1;
    for (ScenarioStep& step : steps) {
        if (!step.during.empty()) {
            if (!step.track.empty())
                step.during_place.fail("a step with `during` has a track of its own; take `track` out");
            step.track_number = next++;
        } else if (auto [known, is_new] = numbers.try_emplace(step.track, next); is_new) {
            step.track_number = next++;
        } else {
            step.track_number = known->second;
        }
    }
    for_each_step(steps, [](ScenarioStep& step) {
        if (auto* repeat = std::get_if<RepeatAction>(&step.action))
            for (ScenarioStep& inner : repeat->steps) inherit(step, inner);
    });
}

// ---- vCPUs ----

std::string describe(const ScenarioStep& step) {
    if (step.track_number == 0) return "the main track";
    if (!step.track.empty()) return "track '" + step.track + "'";
    return fmt::format("the step of line {}", step.place.line);
}

// The main track's steps may be on several.
void give_vcpus(std::vector<ScenarioStep>& steps) {
    std::map<size_t, unsigned> stated;  // by track
    for_each_step(steps, [&](const ScenarioStep& step) {
        if (step.track_number == 0 || !states_vcpu(step)) return;
        const auto [first, is_new] = stated.try_emplace(step.track_number, step.vcpu);
        if (!is_new && first->second != step.vcpu)
            step.vcpu_place.fail(
                fmt::format("{} has vCPU {} already; expected the same one in all of its steps",
                            describe(step), first->second));
    });
    for_each_step(steps, [&](ScenarioStep& step) {
        if (auto vcpu = stated.find(step.track_number); vcpu != stated.end()) step.vcpu = vcpu->second;
    });
}

void refuse_shared_vcpus(const std::vector<ScenarioStep>& steps) {
    std::map<unsigned, const ScenarioStep*> users;
    for_each_step(steps, [&](const ScenarioStep& step) {
        if (!uses_vcpu(step)) return;
        const ScenarioStep& first = *users.try_emplace(step.vcpu, &step).first->second;
        if (first.track_number == step.track_number) return;
        (states_vcpu(step) ? step.vcpu_place : step.place)
            .fail(fmt::format("vCPU {} is that of {} (line {}); expected a `vcpu` that no other track uses",
                              step.vcpu, describe(first), first.place.line));
    });
}

// ---- what waits for what ----

// The steps that are not inside of a `repeat`, each with its begin and its end. Which of these come before which:
//
//     end of the one before it on the track ─► begin ─► end
//     begin of the one that it is `during`  ─►
//     end of the one that makes its ranges  ─►
class Precedence {
  public:
    explicit Precedence(const std::vector<ScenarioStep>& steps)
        : steps_(steps), successors_(2 * steps.size()), open_(2 * steps.size()) {
        for (size_t i = 0; i < steps.size(); i++) {
            for_each_step(one(i), [&](const ScenarioStep& step) {
                if (step.label.empty()) return;
                if (!labelled_.try_emplace(step.label, i).second)
                    step.label_place.fail(fmt::format("another step has the label '{}'", step.label));
            });
        }
        for (size_t i = 0; i < steps.size(); i++) add(i);
    }

    void refuse_circles() {
        std::vector<size_t> ready;
        for (size_t node = 0; node < open_.size(); node++)
            if (open_[node] == 0) ready.push_back(node);
        size_t done = 0;
        for (; !ready.empty(); done++) {
            const size_t node = ready.back();
            ready.pop_back();
            for (size_t next : successors_[node])
                if (--open_[next] == 0) ready.push_back(next);
        }
        if (done == open_.size()) return;
        for (size_t i = 0; i < steps_.size(); i++)
            if (open_[begin(i)] > 0 && !steps_[i].during.empty())
                steps_[i].during_place.fail(fmt::format(
                    "a circle: '{}' waits, over others, for this step to begin or to end", steps_[i].during));
    }

  private:
    static size_t begin(size_t step) { return 2 * step; }
    static size_t end(size_t step) { return 2 * step + 1; }

    std::span<const ScenarioStep> one(size_t i) const { return {&steps_[i], 1}; }

    void put_before(size_t earlier, size_t later) {
        successors_[earlier].push_back(later);
        open_[later]++;
    }

    void add(size_t i) {
        const ScenarioStep& step = steps_[i];
        put_before(begin(i), end(i));
        if (auto before = last_.find(step.track_number); before != last_.end())
            put_before(end(before->second), begin(i));
        last_[step.track_number] = i;
        if (!step.during.empty()) {
            auto beside = labelled_.find(step.during);
            if (beside == labelled_.end())
                step.during_place.fail(fmt::format("no step has the label '{}'", step.during));
            put_before(begin(beside->second), begin(i));
        }
        for_each_step(one(i), [&](const ScenarioStep& inner) {
            if (std::holds_alternative<RepeatAction>(inner.action)) return;
            for (const std::string& range : ranges_needed_by(inner))
                if (auto maker = makers_.find(range); maker != makers_.end() && maker->second != i)
                    put_before(end(maker->second), begin(i));
            for (const std::string& range : ranges_made_by(inner)) makers_.try_emplace(range, i);
        });
    }

    const std::vector<ScenarioStep>& steps_;
    std::map<std::string, size_t> labelled_;
    std::map<size_t, size_t> last_;         // of each track
    std::map<std::string, size_t> makers_;  // of each range, the first
    std::vector<std::vector<size_t>> successors_;
    std::vector<size_t> open_;  // how many come before, and are not done yet
};

}  // namespace

bool uses_vcpu(const ScenarioStep& step) {
    return std::visit(
        []<typename Action>(const Action&) {
            return !std::is_same_v<Action, SleepAction> && !std::is_same_v<Action, CheckpointAction> &&
                   !std::is_same_v<Action, WaitAction> && !std::is_same_v<Action, RepeatAction>;
        },
        step.action);
}

void assign_tracks(std::vector<ScenarioStep>& steps) {
    number_tracks(steps);
    give_vcpus(steps);
    refuse_shared_vcpus(steps);
    Precedence(steps).refuse_circles();
}

}  // namespace gpremap
