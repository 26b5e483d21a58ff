// A scenario as a list of orders in time: `repeat` and schedules expanded. What follows the steps of a
// scenario, to do them, to check, to count or to compare, walks this list. It is in the order of the file; where
// there are tracks, each does its own orders of it.
//
//     map; repeat 2 × { touch; resize in 2 }       0 map
//                                                  1 touch   2, 3 resize
//                                                  4 touch   5, 6 resize
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <variant>
#include <vector>

#include "vmm/scenario/scenario.h"

namespace gpremap {

struct Order {
    // Neither a `repeat`, nor gone before the scenario is.
    const ScenarioStep* step = nullptr;
    size_t number = 0;  // from 0
    double at =
        0;  // seconds since the run began, before which it is not done: of its step, and repeats around it
    size_t row = 0;        // of its step, from 0, those inside of `repeat` counted
    size_t turns = 1;      // how many orders its step comes to
    bool is_final = true;  // the last one of them
    // Of a step with `during`, once: the number of the order with which it begins.
    std::optional<size_t> beside = {};
    // Of the repeats around it, added up, from 0: what only a second time shows is in turn 1.
    unsigned turn = 0;

    // Of a schedule: the size that its range is to have, in bytes, not before `due`, in seconds since the first
    // of the schedule's orders.
    uint64_t size = 0;
    double due = 0;
    // Of the orders that its step comes to in this turn. Both, where there is just one.
    bool is_first = true;
    bool is_last = true;
};

inline constexpr unsigned deepest_repeat = 16;           // repeats inside of each other
inline constexpr uint64_t longest_timeline = 1'000'000;  // orders

// `granule` in bytes: sizes of schedules are multiples of it. Orders of a schedule that would change nothing
// are left out, unless none is left. Throws ConfigError where repeats are too deep, or orders too many.
std::vector<Order> timeline_of(const std::vector<ScenarioStep>& steps, uint64_t granule);

// Calls `visitor` with the action of an order's step: any but a RepeatAction.
template <typename Visitor>
void visit_action(const ScenarioStep& step, Visitor visitor) {
    std::visit(
        [&](const auto& action) {
            if constexpr (std::is_same_v<std::decay_t<decltype(action)>, RepeatAction>)
                throw std::logic_error("a repeat is no order: its steps are");
            else
                visitor(action);
        },
        step.action);
}

// The call that takes the range of a schedule from `before` to `size` bytes.
CallAction resize_call(const ResizeAction& action, uint64_t before, uint64_t size);

// How many steps there are, those inside of `repeat` counted once.
size_t count_steps(const std::vector<Order>& timeline);

}  // namespace gpremap
