#include "vmm/report/move_comparison.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <ostream>
#include <set>

#include "vmm/base/units.h"

namespace gpremap {

namespace {

std::vector<uint64_t> move_times(const std::vector<StepResult>& steps, uint64_t bytes) {
    std::vector<uint64_t> times;
    for (const StepResult& step : steps)
        if (step.ok && step.moved.value_or(false) && step.guest_ns > 0 && step.bytes == bytes)
            times.push_back(step.guest_ns);
    return times;
}

bool is_measured_copy(const StepResult& step) {
    return step.call == "copy" && step.ok && step.bytes > 0;
}

void print_moves(std::ostream& out, const MoveComparison& comparison) {
    const Spread<uint64_t>& ns = comparison.move_ns;
    std::string of_all = comparison.moves == 1
                             ? "the only move"
                             : fmt::format("the median of {} moves, which took {} to {} us", comparison.moves,
                                           microseconds(ns.min), microseconds(ns.max));
    fmt::print(out, "{}: moved in {} us ({})\n", format_size(comparison.bytes), microseconds(ns.median),
               of_all);
}

// Below 10, a digit more; below 1, the move was the slower one, and says so.
void print_copy(std::ostream& out, const MoveComparison::Copy& copy) {
    fmt::print(out, "    {:.{}f} times {} the guest's own copy: {} us (step {}: copy {})\n", copy.factor,
               copy.factor < 10 ? 1 : 0, copy.factor < 1 ? "as fast as" : "faster than",
               microseconds(copy.step->guest_ns), copy.step->index, copy.step->summary);
}

}  // namespace

std::vector<MoveComparison> compare_moves(const std::vector<StepResult>& steps) {
    std::vector<MoveComparison> comparisons;
    std::set<uint64_t> done;
    for (const StepResult& first : steps) {
        if (!is_measured_copy(first) || !done.insert(first.bytes).second) continue;
        const std::vector<uint64_t> times = move_times(steps, first.bytes);
        if (times.empty()) continue;
        MoveComparison& comparison = comparisons.emplace_back();
        comparison.bytes = first.bytes;
        comparison.moves = times.size();
        comparison.move_ns = spread_of(times);
        const auto move_ns = static_cast<double>(comparison.move_ns.median);
        for (const StepResult& copy : steps)
            if (is_measured_copy(copy) && copy.bytes == first.bytes)
                comparison.copies.push_back({&copy, static_cast<double>(copy.guest_ns) / move_ns});
    }
    return comparisons;
}

void print(std::ostream& out, const MoveComparison& comparison) {
    print_moves(out, comparison);
    for (const MoveComparison::Copy& copy : comparison.copies) print_copy(out, copy);
}

JsonObject json_of(const MoveComparison& comparison) {
    JsonObject copies = JsonObject::array();
    for (const MoveComparison::Copy& copy : comparison.copies)
        copies.push_back(
            {{"index", copy.step->index}, {"guest_ns", copy.step->guest_ns}, {"factor", copy.factor}});
    const Spread<uint64_t>& ns = comparison.move_ns;
    return {{"bytes", comparison.bytes},
            {"moves", comparison.moves},
            {"median", ns.median},
            {"min", ns.min},
            {"max", ns.max},
            {"copies", copies}};
}

}  // namespace gpremap
