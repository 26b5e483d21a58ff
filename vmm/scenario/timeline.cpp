#include "vmm/scenario/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace gpremap {

namespace {

// Orders that a step comes to, at most; those of a schedule that change nothing are among them. Counts before
// anything is expanded, for that is what must not take for ever.
uint64_t most_orders(const ScenarioStep& step, unsigned depth) {
    if (const auto* resize = std::get_if<ResizeAction>(&step.action)) return resize->points.size();
    const auto* repeat = std::get_if<RepeatAction>(&step.action);
    if (!repeat) return 1;
    if (depth == deepest_repeat)
        step.place.fail(
            fmt::format("repeats stand inside of one another up to {} deep; expected fewer", deepest_repeat));
    uint64_t turn = 0;
    for (const ScenarioStep& inner : repeat->steps) turn += most_orders(inner, depth + 1);
    if (turn > longest_timeline / repeat->times)
        step.place.fail(fmt::format("more than {} steps when all is repeated; expected at most so many",
                                    longest_timeline));
    return turn * repeat->times;
}

void require_bounded(const std::vector<ScenarioStep>& steps) {
    uint64_t all = 0;
    for (const ScenarioStep& step : steps) {
        all += most_orders(step, 0);
        if (all > longest_timeline)
            step.place.fail(
                fmt::format("with this the scenario has more than {} steps when all is repeated; "
                            "expected at most so many",
                            longest_timeline));
    }
}

class Expansion {
  public:
    explicit Expansion(uint64_t granule) : granule_(granule) {}

    void add(const std::vector<ScenarioStep>& steps, unsigned turn, double around = 0) {
        for (const ScenarioStep& step : steps) {
            if (!step.label.empty()) labelled_.try_emplace(step.label, orders.size());
            if (!step.during.empty()) during_.emplace_back(orders.size(), &step.during);
            const double at = std::max(step.at, around);
            if (const auto* repeat = std::get_if<RepeatAction>(&step.action)) {
                for (unsigned again = 0; again < repeat->times; again++) add(repeat->steps, turn + again, at);
            } else if (const auto* resize = std::get_if<ResizeAction>(&step.action)) {
                add_schedule(step, *resize, turn, at);
            } else {
                add({.step = &step, .at = at, .turn = turn});
            }
        }
    }

    // Once all steps are there.
    void join() {
        for (const auto& [number, label] : during_) orders[number].beside = labelled_.at(*label);
        struct Row {
            size_t number, orders, last;
        };
        std::map<const ScenarioStep*, Row> rows;
        for (const Order& order : orders) {
            Row& row = rows.try_emplace(order.step, Row{rows.size(), 0, 0}).first->second;
            row.orders++;
            row.last = order.number;
        }
        for (Order& order : orders) {
            const Row& row = rows.at(order.step);
            order.row = row.number;
            order.turns = row.orders;
            order.is_final = order.number == row.last;
        }
    }

    std::vector<Order> orders;

  private:
    void add(Order order) {
        order.number = orders.size();
        orders.push_back(order);
    }

    // Sizes are rounded down to the granule, but not to nothing.
    void add_schedule(const ScenarioStep& step, const ResizeAction& action, unsigned turn, double at) {
        const size_t first = orders.size();
        uint64_t before = action.from;
        for (const ResizeAction::Point& point : action.points) {
            const uint64_t size = std::max(granule_, point.size / granule_ * granule_);
            const bool is_the_only_one = &point == &action.points.back() && orders.size() == first;
            if (size == before && !is_the_only_one) continue;
            add({.step = &step,
                 .at = at,
                 .turn = turn,
                 .size = size,
                 .due = point.due,
                 .is_first = orders.size() == first,
                 .is_last = false});
            before = size;
        }
        orders.back().is_last = true;
    }

    uint64_t granule_;
    std::map<std::string, size_t> labelled_;  // the first order of each step with a label
    std::vector<std::pair<size_t, const std::string*>> during_;
};

}  // namespace

std::vector<Order> timeline_of(const std::vector<ScenarioStep>& steps, uint64_t granule) {
    require_bounded(steps);
    Expansion expansion(granule);
    expansion.add(steps, 0);
    expansion.join();
    return std::move(expansion.orders);
}

CallAction resize_call(const ResizeAction& action, uint64_t before, uint64_t size) {
    const std::string& name = action.range.range;
    const Span whole{action.range, {Operand::Kind::size_of, name, 0, action.range.place}};
    CallAction resize;
    resize.number = size < before ? abi::Call::shrink : abi::Call::grow;
    resize.effect = Effect::relocates;
    resize.source = whole;
    resize.new_size = {Operand::Kind::number, "", size, action.range.place};
    resize.args = {{"at", whole.at}, {"len", whole.size}, {"new_len", resize.new_size}};
    if (resize.number == abi::Call::grow)
        resize.args.push_back({"flags", {Operand::Kind::number, "", GPREMAP_FLAG_MAY_MOVE, {}}});
    return resize;
}

size_t count_steps(const std::vector<Order>& timeline) {
    return static_cast<size_t>(std::ranges::count_if(
        timeline, [](const Order& order) { return order.turn == 0 && order.is_first; }));
}

}  // namespace gpremap
