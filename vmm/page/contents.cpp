#include "vmm/page/contents.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>

#include "vmm/base/spread.h"
#include "vmm/page/header.h"
#include "vmm/page/measures.h"
#include "vmm/page/tables.h"
#include "vmm/page/thinning.h"
#include "vmm/statistics/bootstrap.h"

namespace gpremap {

namespace {

// Of all series together, so that a page stays below 5 MiB; of one more than a screen has columns, to look closer.
constexpr size_t most_points = 48'000, most_of_series = 6000;
constexpr size_t most_calls = 1500;    // of a run
constexpr size_t most_extents = 2000;  // of a map
constexpr size_t most_rows = 400;      // of a table
constexpr size_t most_metrics = 60;    // of a chart

// Whole numbers, and four digits of others: nobody sees more, and a page is a tenth shorter.
JsonObject rounded(const std::vector<double>& values) {
    JsonObject json = JsonObject::array();
    for (double value : values) {
        const double digits = value == 0 ? 0 : std::floor(std::log10(std::abs(value)));
        const double unit = std::pow(10, std::max(0.0, digits - 5));
        const double near = std::round(value / unit) * unit;
        if (std::abs(near) < 9e15)
            json.push_back(static_cast<int64_t>(near));
        else
            json.push_back(near);
    }
    return json;
}

JsonObject cdf_of(const JsonObject& workload, const char* key) {
    JsonObject cdf = JsonObject::array();
    if (!workload.contains("histogram")) return cdf;
    const auto upto = workload.at("histogram").at("upto_ns").get<std::vector<double>>();
    const auto counts = workload.at("histogram").at(key).get<std::vector<double>>();
    double all = 0, counted = 0;
    for (double count : counts) all += count;
    for (size_t row = 0; row < std::min(upto.size(), counts.size()); row++) {
        if (counts[row] <= 0) continue;
        counted += counts[row];
        // The share that takes longer: 0 at the last.
        cdf.push_back({upto[row], (all - counted) / all});
    }
    return cdf;
}

JsonObject json_of(const ShownSeries& series, size_t points) {
    const ThinSeries thin = thinned(series, points);
    JsonObject t_ms = JsonObject::array();
    for (double t : thin.t_ns) t_ms.push_back(std::round(t / 1e3) / 1e3);
    return {{"workload", series.workload},
            {"unit", series.counts_bytes() ? "B" : ""},
            {"t_ms", t_ms},
            {"rate", rounded(thin.rate)},
            {"low", rounded(thin.low)},
            {"high", rounded(thin.high)},
            {"max_ns", rounded(thin.max_ns)}};
}

JsonObject json_of_calls(const std::vector<ShownStep>& steps) {
    JsonObject calls = JsonObject::array();
    for (const ShownStep* step : thinned_calls(steps, most_calls))
        calls.push_back({{"call", step->call},
                         {"begin_ms", step->begin_ns / 1e6},
                         {"end_ms", step->end_ns / 1e6},
                         {"ns", step->call_ns},
                         {"bytes", step->bytes},
                         {"ok", step->ok}});
    return calls;
}

// Of what the steps until then have put where, by the calls' results. A call that takes what is mapped already comes
// after the map before the calls.
using Labels = std::map<uint64_t, std::string>;
Labels labels_of(const std::vector<ShownStep>& steps, bool before_calls) {
    Labels labels;
    for (const ShownStep& step : steps) {
        if (before_calls && step.call_ns > 0 && step.call != "map") break;
        if (step.ok && step.result && !step.range.empty()) labels[*step.result] = step.range;
    }
    return labels;
}

JsonObject json_of(const ShownMap& map, const Labels& labels) {
    JsonObject extents = JsonObject::array();
    for (const JsonObject& extent : map.extents) {
        if (extents.size() == most_extents) break;
        const auto label = labels.find(extent.at("at").get<uint64_t>());
        extents.push_back({{"at", extent.at("at")},
                           {"label", label == labels.end() ? "" : label->second},
                           {"size", extent.at("size")},
                           {"prot", extent.at("prot")},
                           {"backing", extent.at("backing")},
                           {"pages",
                            {extent.at("pages").at("pages_4k"), extent.at("pages").at("pages_2m"),
                             extent.at("pages").at("pages_1g")}}});
    }
    return {{"when", map.when}, {"extents", extents}, {"all", map.extents.size()}};
}

// As the page's script knows it: of times and rates there are charts.
const char* name_of(MetricUnit unit) {
    if (unit == MetricUnit::bytes) return "B";
    return unit == MetricUnit::ns ? "ns" : "rate";
}

// Of benches and merged results; a run's own curves say more.
JsonObject metrics_of(const ShownRun& run) {
    JsonObject metrics = JsonObject::array();
    if (run.is_single()) return metrics;
    for (const MeasuredRun& measured : run.measured)
        for (const Metric& metric : measured.metrics) {
            if (metrics.size() == most_metrics) return metrics;
            const Interval interval = median_interval(metric.samples, 1);
            metrics.push_back({{"name", with_parameters(metric.name, measured.parameters)},
                               {"unit", name_of(unit_of(metric.name, metric.better))},
                               {"median", spread_of(metric.samples).median},
                               {"low", interval.low},
                               {"high", interval.high}});
        }
    return metrics;
}

JsonObject json_of(const ShownRun& run, size_t points) {
    JsonObject series = JsonObject::array(), workloads = JsonObject::array(), maps = JsonObject::array();
    for (const ShownSeries& each : run.series) series.push_back(json_of(each, points));
    for (const JsonObject& each : run.workloads)
        workloads.push_back({{"name", each.at("name")},
                             {"quiet", cdf_of(each, "quiet")},
                             {"beside", cdf_of(each, "beside_calls")}});
    for (const ShownMap& map : run.maps)
        maps.push_back(json_of(map, labels_of(run.steps, map.when == before_calls)));
    return {{"name", run.name},       {"series", series}, {"calls", json_of_calls(run.steps)},
            {"workloads", workloads}, {"maps", maps},     {"metrics", metrics_of(run)}};
}

std::string shown(const JsonObject& value) {
    return value.is_null() ? "-" : value.is_string() ? value.get<std::string>() : value.dump();
}

// A row for each fact, and a column for each run.
Table host_table(const std::vector<ShownRun>& runs) {
    constexpr std::pair<std::string_view, const char*> facts[] = {
        {"kernel", "/host/kernel"},
        {"processor", "/host/cpu"},
        {"MMU", "/host/mmu"},
        {"transparent huge pages", "/host/thp"},
        {"governor", "/provenance/host_before/governor"},
        {"load before", "/provenance/host_before/load"},
        {"load after", "/provenance/host_after/load"},
        {"processors of vCPUs", "/pinning/cpus"},
        {"all else on", "/pinning/host_cpus"},
        {"mind", "/pinning/note"},
        {"vCPUs", "/vm/vcpus"},
        {"backing", "/vm/backing"},
        {"mechanism", "/vm/mechanism"},
        {"parameters", "/parameters"},
        {"began", "/began"},
        {"gpremap", "/tool/version"},
        {"revision", "/provenance/revision"}};
    Table table{"Host and VM", "", {""}, {}};
    for (const ShownRun& run : runs) table.head.push_back(run.name);
    for (const auto& [name, pointer] : facts) {
        std::vector<std::string> row = {std::string(name)};
        const JsonObject::json_pointer place(pointer);
        for (const ShownRun& run : runs)
            row.push_back(run.head.contains(place) ? shown(run.head.at(place)) : "-");
        if (std::any_of(row.begin() + 1, row.end(), [](const auto& cell) { return cell != "-"; }))
            table.rows.push_back(std::move(row));
    }
    return table;
}

std::string scenario_of(const ShownRun& run) {
    const JsonObject::json_pointer text("/provenance/scenario/text");
    return run.head.contains(text) ? run.head.at(text).get<std::string>() : "";
}

std::string quoted(const std::string& word) {
    constexpr std::string_view plain =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=:,./@%";
    if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
    std::string text = "'";
    for (char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
    return text + "'";
}

// What repeats each run: from its result, and as it was given.
JsonObject commands_of(const std::vector<ShownRun>& runs) {
    JsonObject commands = JsonObject::array();
    for (const ShownRun& run : runs) {
        if (!run.is_single()) continue;
        if (run.cut_short.empty()) commands.push_back("gpremap run --from " + quoted(run.name));
        std::string given;
        for (const JsonObject& word : run.head.at("provenance").at("command"))
            given += (given.empty() ? "" : " ") + quoted(word.get<std::string>());
        if (!given.empty()) commands.push_back(given);
    }
    return commands;
}

JsonObject notes_of(const std::vector<ShownRun>& runs, Following following) {
    JsonObject notes = JsonObject::array();
    for (const ShownRun& run : runs) {
        if (!run.cut_short.empty() && following == Following::no)
            notes.push_back(
                fmt::format("{}: {}. What follows is what there was until then; nothing is compared.",
                            run.name, run.cut_short));
        for (const std::string& warning : run.warnings) notes.push_back(run.name + ": " + warning);
    }
    return notes;
}

JsonObject short_of(Table table) {
    if (table.rows.size() > most_rows) {
        table.note += fmt::format(" The first {} of {} rows.", most_rows, table.rows.size());
        table.rows.resize(most_rows);
    }
    return gpremap::json_of(table);
}

}  // namespace

JsonObject contents_of(const std::vector<ShownRun>& runs, Following following) {
    const std::string scenario = scenario_of(runs.front());
    const ScenarioHeader header = header_of(scenario);
    JsonObject tables = JsonObject::array(), shown_runs = JsonObject::array();
    for (const Table& table : tables_of(runs)) tables.push_back(short_of(table));
    size_t series = 1;
    for (const ShownRun& run : runs) series += run.series.size();
    const size_t points = std::min(most_of_series, most_points / series);
    for (const ShownRun& run : runs) shown_runs.push_back(json_of(run, points));
    std::string title;
    for (const ShownRun& run : runs) title += (title.empty() ? "" : ", ") + run.name;
    return {{"title", title},
            {"question", header.question},
            {"answer", header.answer},
            {"numbers", gpremap::json_of(numbers_of(runs))},
            {"tables", std::move(tables)},
            {"runs", std::move(shown_runs)},
            {"host", gpremap::json_of(host_table(runs))},
            {"scenario", scenario},
            {"commands", commands_of(runs)},
            {"notes", notes_of(runs, following)},
            {"live", following == Following::journal}};
}

}  // namespace gpremap
