#include "vmm/page/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "vmm/base/errors.h"
#include "vmm/base/spread.h"
#include "vmm/page/amounts.h"
#include "vmm/page/measures.h"
#include "vmm/results/comparison.h"

namespace gpremap {

namespace {

constexpr uint64_t seed = 1;  // of the intervals: the same results give the same page

std::string shown_interval(const Interval& interval, std::string (*shown)(double)) {
    return fmt::format("{} ... {}", shown(interval.low), shown(interval.high));
}

std::string median_interval_of(const std::vector<double>& samples, std::string (*shown)(double)) {
    constexpr size_t least = 3;
    return samples.size() < least ? "-" : shown_interval(median_interval(samples, seed), shown);
}

Table workloads_table(const std::vector<ShownRun>& runs) {
    Table table{"Latencies of the workloads",
                "Of single operations, apart for those that overlap a call. Ratios are those beside calls "
                "over the others.",
                {"workload", "run", "operations", "50 %", "99 %", "99.9 %", "99.99 %", "longest",
                 "ratio of 50 %", "ratio of 99.9 %"},
                {}};
    for (const ShownRun& run : runs)
        for (const JsonObject& workload : run.workloads) {
            const std::string name = workload.at("name");
            const auto quiet = latencies_of(workload, "quiet");
            for (const char* key : {"quiet", "beside_calls"}) {
                const auto all = latencies_of(workload, key);
                if (!all) continue;
                const bool is_base = std::string_view(key) == "quiet";
                auto ratio = [&](double Latencies::*of) {
                    return is_base || !quiet || (*quiet).*of <= 0 ? "-"
                                                                  : shown_ratio((*all).*of / (*quiet).*of);
                };
                table.rows.push_back({name + (is_base ? ", no call" : ", beside calls"), run.name,
                                      shown_count(all->n), shown_ns(all->p50), shown_ns(all->p99),
                                      shown_ns(all->p99_9), shown_ns(all->p99_99), shown_ns(all->max),
                                      ratio(&Latencies::p50), ratio(&Latencies::p99_9)});
            }
        }
    return table;
}

Table calls_table(const std::vector<ShownRun>& runs) {
    Table table{"Calls",
                "Those of one kind and size together. Medians have their 95 % interval; counts are sums over "
                "the calls.",
                {"call", "size", "run", "n", "median", "95 % interval", "99 %", "longest", "bytes a second",
                 "huge pages kept", "copies", "faults", "TLB flushes", "host got back"},
                {}};
    for (const ShownRun& run : runs)
        for (const CallKind& kind : kinds_of(run.steps)) {
            const Spread<double> spread = spread_of(kind.call_ns);
            const auto n = static_cast<double>(kind.call_ns.size());
            table.rows.push_back(
                {kind.call, kind.bytes > 0 ? shown_bytes(kind.bytes) : "-", run.name, shown_count(n),
                 shown_ns(spread.median), median_interval_of(kind.call_ns, shown_ns), shown_ns(spread.p99),
                 shown_ns(spread.max),
                 kind.bytes > 0 ? shown_rate(kind.bytes * 1e9 / spread.median, "B") : "-",
                 kind.huge_kept == n ? "all"
                                     : fmt::format("{} of {}", shown_count(kind.huge_kept), shown_count(n)),
                 shown_count(kind.copies), shown_count(kind.faults), shown_count(kind.tlb_flushes),
                 kind.host_returned > 0 ? shown_bytes(kind.host_returned) : "-"});
        }
    return table;
}

// The baseline of a move is the guest's own copy of as many bytes, in the same run.
Table copies_table(const std::vector<ShownRun>& runs) {
    Table table{
        "Moves beside copies",
        "What the guest pays for a move, and for its own copy of as many bytes in the same run.",
        {"size", "run", "moves", "median of the moves", "shortest ... longest", "copy", "copy over move"},
        {}};
    for (const ShownRun& run : runs)
        for (const JsonObject& each : run.comparisons)
            for (const JsonObject& copy : each.at("copies"))
                table.rows.push_back(
                    {shown_bytes(each.at("bytes")), run.name, shown_count(each.at("moves")),
                     shown_ns(each.at("median")),
                     fmt::format("{} ... {}", shown_ns(each.at("min")), shown_ns(each.at("max"))),
                     shown_ns(copy.at("guest_ns")),
                     copy.at("factor").is_null() ? "-" : shown_ratio(copy.at("factor"))});
    return table;
}

using Shown = std::string (*)(double);
Shown shown_in(MetricUnit unit) {
    if (unit == MetricUnit::bytes) return shown_bytes;
    if (unit == MetricUnit::ns) return shown_ns;
    return [](double value) { return shown_rate(value, ""); };
}

Table comparison_table(const ShownRun& base, const ShownRun& fresh) {
    Table table{fmt::format("{} beside {}", fresh.name, base.name),
                "",
                {"metric", "verdict", base.name, fresh.name, "ratio", "95 % interval", "p"},
                {}};
    const JudgementOptions options;
    ResultComparison comparison;
    try {
        comparison = compare(base.measured, fresh.measured, options);
    } catch (const ConfigError&) {
        return table;  // nothing in common
    }
    for (const ComparedMetric& each : comparison.metrics) {
        const Judgement& judgement = each.judgement;
        const Shown shown = shown_in(unit_of(each.name, each.samples.better));
        table.rows.push_back(
            {with_parameters(each.name, each.parameters), std::string(name_of(judgement.verdict)),
             shown(judgement.base), shown(judgement.fresh), fmt::format("{:.3f}", judgement.ratio),
             fmt::format("{:.3f} ... {:.3f}", judgement.interval.low, judgement.interval.high),
             fmt::format("{:.4f}", judgement.p)});
    }
    table.note = fmt::format(
        "As `gpremap diff` judges: an effect of {:.3g} %, alpha {}. {} metrics have too few samples for a "
        "verdict; {} are "
        "in one of the two only.{}",
        options.effect * 100, options.alpha, comparison.too_few, comparison.only_in_one,
        comparison.other_hosts ? " The two are of different hosts: a difference may be one between these."
                               : "");
    return table;
}

// Of a bench, or of merged results.
Table metrics_table(const ShownRun& run) {
    Table table{"All that is measured: " + run.name, "", {"metric", "n", "median", "95 % interval"}, {}};
    for (const MeasuredRun& measured : run.measured)
        for (const Metric& metric : measured.metrics) {
            const Shown shown = shown_in(unit_of(metric.name, metric.better));
            table.rows.push_back({with_parameters(metric.name, measured.parameters),
                                  shown_count(static_cast<double>(metric.samples.size())),
                                  shown(spread_of(metric.samples).median),
                                  median_interval_of(metric.samples, shown)});
        }
    return table;
}

Table failures_table(const std::vector<ShownRun>& runs) {
    Table table{"Not as expected", "", {"what", "run", "problem"}, {}};
    for (const ShownRun& run : runs) {
        for (const ShownStep& step : run.steps)
            if (!step.ok) table.rows.push_back({step.call + " " + step.arguments, run.name, step.problem});
        for (const JsonObject& workload : run.workloads)
            if (!workload.at("ok").get<bool>())
                table.rows.push_back({workload.at("name").get<std::string>(), run.name,
                                      workload.at("problem").get<std::string>()});
    }
    return table;
}

}  // namespace

std::string with_parameters(std::string name, const JsonObject& parameters) {
    for (const auto& [key, value] : parameters.items()) name += fmt::format("; {}={}", key, value.dump());
    return name;
}

std::vector<Table> tables_of(const std::vector<ShownRun>& runs) {
    std::vector<Table> tables = {failures_table(runs)};
    for (size_t i = 1; i < runs.size(); i++)
        if (!runs[0].measured.empty() && !runs[i].measured.empty())
            tables.push_back(comparison_table(runs[0], runs[i]));
    tables.push_back(calls_table(runs));
    tables.push_back(workloads_table(runs));
    tables.push_back(copies_table(runs));
    for (const ShownRun& run : runs)
        if (!run.is_single()) tables.push_back(metrics_table(run));
    std::erase_if(tables, [](const Table& table) { return table.rows.empty(); });
    return tables;
}

JsonObject json_of(const Table& table) {
    return {{"title", table.title}, {"note", table.note}, {"head", table.head}, {"rows", table.rows}};
}

}  // namespace gpremap
