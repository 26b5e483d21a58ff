#include "vmm/report/statistics.h"

#include <map>

namespace gpremap {

namespace {

std::optional<Spread<uint64_t>> spread_of_any(const std::vector<uint64_t>& samples) {
    if (samples.empty()) return std::nullopt;
    return spread_of(samples);
}

JsonObject json_of(const std::optional<Spread<uint64_t>>& ns) {
    if (!ns) return nullptr;
    return {{"median", ns->median}, {"p99", ns->p99}, {"min", ns->min}, {"max", ns->max}};
}

}  // namespace

void Turns::add(const StepResult& turn) {
    if (all() == 0) first_ = turn;
    if (turn.skipped_for) {
        skipped_++;
    } else if (!turn.ok) {
        failed_++;
    } else {
        n_++;
        if (turn.record) call_ns_.push_back(turn.record->call_ns);
        if (turn.guest_ns > 0) guest_ns_.push_back(turn.guest_ns);
    }
}

StepStatistics Turns::statistics() const {
    return {first_.call, first_.arguments, n_, spread_of_any(call_ns_), spread_of_any(guest_ns_)};
}

std::vector<StepStatistics> statistics_of(const std::vector<StepResult>& steps) {
    std::map<size_t, Turns> rows;
    for (const StepResult& step : steps) rows[step.row].add(step);
    std::vector<StepStatistics> all;
    for (const auto& [row, turns] : rows) {
        StepStatistics statistics = turns.statistics();
        if (statistics.call_ns || statistics.guest_ns) all.push_back(std::move(statistics));
    }
    return all;
}

JsonObject json_of(const StepStatistics& statistics) {
    return {{"call", statistics.call},
            {"arguments", statistics.arguments},
            {"n", statistics.n},
            {"call_ns", json_of(statistics.call_ns)},
            {"guest_ns", json_of(statistics.guest_ns)}};
}

}  // namespace gpremap
