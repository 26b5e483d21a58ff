// The table that stands beside the question.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/spread.h"
#include "vmm/page/amounts.h"
#include "vmm/page/measures.h"
#include "vmm/page/tables.h"

namespace gpremap {

namespace {

constexpr std::string_view nothing = "-";

std::string interval_of(const Ratio& ratio) {
    if (!ratio.interval) return shown_ratio(ratio.ratio);
    return fmt::format("{} ({} ... {})", shown_ratio(ratio.ratio), shown_digits(ratio.interval->low),
                       shown_digits(ratio.interval->high));
}

// "6.21 GB/s → 4.10 GB/s: 0.660 x (0.61 ... 0.71)"
std::string throughput_cell(const ShownRun& run, const std::string& workload) {
    const auto series = std::ranges::find(run.series, workload, &ShownSeries::workload);
    if (series == run.series.end()) return std::string(nothing);
    const Throughput throughput = throughput_of(*series, run.steps);
    const std::string_view unit = series->counts_bytes() ? "B" : "";
    auto shown = [&](const std::vector<double>& parts) {
        return parts.empty() ? "none" : shown_rate(spread_of(parts).median, unit);
    };
    std::string cell = fmt::format("{} → {}", shown(throughput.quiet), shown(throughput.beside_calls));
    if (const auto ratio = ratio_of(throughput.quiet, throughput.beside_calls))
        cell += ": " + interval_of(*ratio);
    return cell;
}

// "1.20 us → 5.01 us: 4.17 x"
std::string latency_cell(const ShownRun& run, const std::string& workload, double Latencies::*percentile) {
    for (const JsonObject& each : run.workloads) {
        if (each.at("name") != workload) continue;
        const auto quiet = latencies_of(each, "quiet"), beside = latencies_of(each, "beside_calls");
        auto shown = [&](const auto& latencies) {
            return latencies ? shown_ns((*latencies).*percentile) : "none";
        };
        std::string cell = fmt::format("{} → {}", shown(quiet), shown(beside));
        if (quiet && beside && (*quiet).*percentile > 0)
            cell += ": " + shown_ratio((*beside).*percentile / (*quiet).*percentile);
        return cell;
    }
    return std::string(nothing);
}

using Cell = std::function<std::string(const ShownRun&)>;

void add_row(Table& table, const std::vector<ShownRun>& runs, const std::string& name, const Cell& cell) {
    std::vector<std::string> row = {name};
    for (const ShownRun& run : runs) row.push_back(cell(run));
    const bool is_empty =
        std::all_of(row.begin() + 1, row.end(), [](const std::string& each) { return each == nothing; });
    if (!is_empty) table.rows.push_back(std::move(row));
}

// In the order of their first.
std::vector<std::string> workloads_of(const std::vector<ShownRun>& runs) {
    std::vector<std::string> names;
    auto add = [&](const std::string& name) {
        if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    };
    for (const ShownRun& run : runs) {
        for (const JsonObject& workload : run.workloads) add(workload.at("name"));
        for (const ShownSeries& series : run.series) add(series.workload);
    }
    return names;
}

void add_workload(Table& table, const std::vector<ShownRun>& runs, const std::string& name) {
    add_row(table, runs, name + ": throughput",
            [&](const ShownRun& run) { return throughput_cell(run, name); });
    constexpr std::pair<std::string_view, double Latencies::*> percentiles[] = {
        {"half of the operations within", &Latencies::p50},
        {"99.9 % of the operations within", &Latencies::p99_9},
        {"longest operation", &Latencies::max}};
    for (const auto& [title, percentile] : percentiles)
        add_row(table, runs, fmt::format("{}: {}", name, title),
                [&, percentile = percentile](const ShownRun& run) {
                    return latency_cell(run, name, percentile);
                });
}

// Those that took the most time together, of the first run that has any.
std::vector<CallKind> weightiest(const std::vector<ShownRun>& runs) {
    constexpr size_t most = 6;
    for (const ShownRun& run : runs) {
        std::vector<CallKind> kinds = kinds_of(run.steps);
        auto weight = [](const CallKind& kind) {
            return std::accumulate(kind.call_ns.begin(), kind.call_ns.end(), 0.0);
        };
        std::ranges::stable_sort(kinds, std::greater(), weight);
        if (kinds.size() > most) kinds.resize(most);
        if (!kinds.empty()) return kinds;
    }
    return {};
}

std::string call_cell(const ShownRun& run, const CallKind& wanted) {
    for (const CallKind& kind : kinds_of(run.steps)) {
        if (kind.call != wanted.call || kind.bytes != wanted.bytes) continue;
        const Spread<double> spread = spread_of(kind.call_ns);
        std::string cell = shown_ns(spread.median);
        if (kind.bytes > 0) cell += fmt::format(" ({})", shown_rate(kind.bytes * 1e9 / spread.median, "B"));
        if (const size_t n = kind.call_ns.size(); n > 1)
            cell +=
                fmt::format("; longest of {}: {}", shown_count(static_cast<double>(n)), shown_ns(spread.max));
        return cell;
    }
    return std::string(nothing);
}

}  // namespace

Table numbers_of(const std::vector<ShownRun>& runs) {
    const std::vector<std::string> workloads = workloads_of(runs);
    Table table{"In numbers", "", {workloads.empty() ? "" : "no call → beside calls"}, {}};
    for (const ShownRun& run : runs) table.head.push_back(run.name);
    for (const std::string& name : workloads) add_workload(table, runs, name);
    for (const CallKind& kind : weightiest(runs))
        add_row(
            table, runs,
            kind.bytes > 0 ? fmt::format("a {} of {}", kind.call, shown_bytes(kind.bytes)) : "a " + kind.call,
            [&](const ShownRun& run) { return call_cell(run, kind); });
    return table;
}

}  // namespace gpremap
