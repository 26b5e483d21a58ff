#include "vmm/page/reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

#include "vmm/base/errors.h"
#include "vmm/base/json_reading.h"

namespace gpremap {

namespace {

std::string text_of(const JsonObject& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string arguments_of(const JsonObject& args) {
    std::string text;
    for (const auto& [key, value] : args.items())
        text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, text_of(value));
    return text;
}

std::string range_of(const JsonObject& args) {
    for (const char* key : {"name", "range"})
        if (args.contains(key) && args.at(key).is_string()) return args.at(key);
    return "";
}

double number_or(const JsonObject& value, double otherwise) {
    return value.is_null() ? otherwise : value.get<double>();
}

// A call that resizes is about what it adds or takes, and its kind is which of the two.
void show_as_resize(ShownStep& shown, const JsonObject& args) {
    if (!args.contains("len") || !args.contains("new_len")) return;
    const double before = args.at("len"), after = args.at("new_len");
    if (before == after) return;
    shown.bytes = std::abs(after - before);
    if (shown.call == "resize") shown.call = after > before ? "grow" : "shrink";
}

ShownStep step_of(const JsonObject& step) {
    const JsonObject& stage2 = step.at("stage2");
    const JsonObject &problem = step.at("problem"), &result = step.at("result");
    ShownStep shown{
        step.at("call"),
        arguments_of(step.at("args")),
        range_of(step.at("args")),
        result.is_number_unsigned() ? std::optional<uint64_t>(result.get<uint64_t>()) : std::nullopt,
        step.at("begin_ns"),
        step.at("end_ns"),
        step.at("call_ns"),
        step.at("guest_ns"),
        step.at("bytes"),
        step.at("ok"),
        problem.is_null() ? "" : problem.get<std::string>(),
        step.at("huge_kept"),
        stage2.at("copies"),
        stage2.at("faults"),
        stage2.at("tlb_flushes"),
        number_or(step.at("host_returned"), 0)};
    show_as_resize(shown, step.at("args"));
    return shown;
}

ShownSeries series_of(const JsonObject& series) {
    auto column = [&](const char* key) { return series.at(key).get<std::vector<double>>(); };
    ShownSeries shown{series.at("workload").get<std::string>(),
                      series.at("vcpu").get<unsigned>(),
                      column("t_ns"),
                      column("ops"),
                      column("bytes"),
                      column("max_ns")};
    const size_t rows =
        std::min({shown.t_ns.size(), shown.ops.size(), shown.bytes.size(), shown.max_ns.size()});
    for (auto* values : {&shown.t_ns, &shown.ops, &shown.bytes, &shown.max_ns}) values->resize(rows);
    return shown;
}

JsonObject head_of(const JsonObject& from) {
    JsonObject head;
    for (const char* key : {"tool", "host", "vm", "pinning", "began", "parameters", "provenance"})
        head[key] = from.at(key);
    return head;
}

// Addresses are whole numbers: what is none is not read as another one.
ShownMap map_of(std::string when, const JsonObject& extents) {
    for (const JsonObject& extent : extents)
        for (const char* key : {"at", "size"})
            if (!extent.at(key).is_number_unsigned())
                throw ConfigError(fmt::format("'{}' of a map: expected a number of bytes, got {}", key,
                                              extent.at(key).dump()));
    return {std::move(when), extents};
}

void add_checkpoint(ShownRun& run, const JsonObject& step) {
    if (!step.contains("map")) return;
    const std::string label = step.at("args").value("label", "");
    run.maps.push_back(map_of(label.empty()
                                  ? fmt::format("at checkpoint {}", step.at("index").get<uint64_t>())
                                  : fmt::format("at checkpoint \"{}\"", label),
                              step.at("map")));
}

ShownRun run_of(const JsonObject& result) {
    ShownRun run;
    run.head = head_of(result);
    if (result.contains("map_before")) run.maps.push_back(map_of(before_calls, result.at("map_before")));
    for (const JsonObject& step : result.at("steps")) {
        run.steps.push_back(step_of(step));
        add_checkpoint(run, step);
    }
    for (const JsonObject& series : result.at("series")) run.series.push_back(series_of(series));
    run.maps.push_back(map_of("at the end", result.at("map")));
    run.workloads = result.at("workloads");
    run.comparisons = result.at("comparisons");
    if (result.contains("warnings")) run.warnings = result.at("warnings").get<std::vector<std::string>>();
    if (result.contains("died"))
        run.cut_short = fmt::format("the guest died: {}", result.at("died").get<std::string>());
    else if (result.contains("interrupted"))
        run.cut_short = "it was interrupted";
    return run;
}

// Whether the file begins as a journal does. Its name does not say so: a journal may have been copied.
bool is_journal(const std::string& path) {
    std::ifstream file(path);
    std::string begin(std::string_view(R"({"event":")").size(), ' ');
    file.read(begin.data(), static_cast<std::streamsize>(begin.size()));
    return begin == R"({"event":")";
}

ShownRun read_journal(const std::string& path) {
    std::ifstream file(path);
    JournalReading reading(path);
    std::string line;
    for (size_t number = 1; std::getline(file, line) && !file.eof(); number++) {
        try {
            reading.add(line);
        } catch (const std::exception& error) {
            throw ConfigError(
                fmt::format("{}:{}: expected a line of a journal of schema gpremap.journal/1 ({})", path,
                            number, error.what()));
        }
    }
    if (!reading.has_begun())
        throw ConfigError(
            fmt::format("{}: expected a journal whose first line is whole; this one was cut "
                        "in it",
                        path));
    return reading.run();
}

ShownRun read_shown(const std::string& path) {
    constexpr std::string_view schemas[] = {run_schema, merge_schema, bench_schema};
    if (is_journal(path)) return read_journal(path);
    const JsonObject result = read_result(path, schemas);
    ShownRun run;
    try {
        if (result.at("schema") == run_schema) run = run_of(result);
    } catch (const JsonObject::exception& error) {
        throw ConfigError(
            fmt::format("{}: expected what schema {} says ({})", path, run_schema, error.what()));
    } catch (const ConfigError& error) {
        throw ConfigError(fmt::format("{}: {}", path, error.what()));
    }
    if (!run.is_single() && result.contains("host")) run.head["host"] = result.at("host");
    if (run.cut_short.empty()) run.measured = runs_of(result, path);
    return run;
}

// As much of the ends of the paths as tells them apart: "window.json", "a/stream.json" and "b/stream.json".
std::string name_of(const std::string& path, const std::vector<std::string>& all) {
    auto tail = [](const std::filesystem::path& full, size_t parts) {
        std::filesystem::path end;
        const std::vector<std::filesystem::path> elements(full.begin(), full.end());
        for (size_t i = elements.size() - std::min(parts, elements.size()); i < elements.size(); i++)
            end /= elements[i];
        return end.string();
    };
    for (size_t parts = 1; parts < 8; parts++) {
        const auto same = std::ranges::count_if(
            all, [&](const std::string& other) { return tail(other, parts) == tail(path, parts); });
        if (same <= 1) return tail(path, parts);
    }
    return path;
}

}  // namespace

bool ShownSeries::counts_bytes() const {
    return std::ranges::any_of(bytes, [](double each) { return each > 0; });
}

JournalReading::JournalReading(std::string name) {
    run_.name = std::move(name);
    run_.cut_short = "it goes on, or was killed: its journal has no end";
}

void JournalReading::add(std::string_view line) {
    const JsonObject json = parse_json(line, run_.name);
    const std::string event = json.at("event");
    if (event == "begin") {
        run_.head = head_of(json);
        has_begun_ = true;
    } else if (event == "step") {
        run_.steps.push_back(step_of(json));
        add_checkpoint(run_, json);
    } else if (event == "sample") {
        ShownSeries& series = series_of(json);
        series.t_ns.push_back(json.at("t_ns"));
        series.ops.push_back(json.at("ops"));
        series.bytes.push_back(json.at("bytes"));
        series.max_ns.push_back(json.at("max_ns"));
    } else if (event == "map") {
        const bool is_first = run_.maps.empty();
        if (!is_first && run_.maps.back().when == "at last") run_.maps.pop_back();
        run_.maps.push_back(map_of(is_first ? before_calls : "at last", json.at("map")));
    } else if (event == "warning" || event == "note") {
        run_.warnings.push_back(json.at("text"));
    } else if (event == "end") {
        end(json);
    }
}

ShownSeries& JournalReading::series_of(const JsonObject& line) {
    const std::string workload = line.at("workload");
    for (ShownSeries& series : run_.series)
        if (series.workload == workload) return series;
    ShownSeries series;
    series.workload = workload;
    series.vcpu = line.at("vcpu");
    return run_.series.emplace_back(std::move(series));
}

void JournalReading::end(const JsonObject& line) {
    has_ended_ = true;
    const JsonObject& died = line.at("died");
    run_.cut_short = !died.is_null() ? fmt::format("the guest died: {}", died.get<std::string>())
                     : line.at("interrupted").get<bool>() ? "it was interrupted"
                                                          : "";
}

std::vector<ShownRun> read_shown_runs(const std::vector<std::string>& paths) {
    std::vector<ShownRun> runs;
    for (const std::string& path : paths) {
        runs.push_back(read_shown(path));
        runs.back().name = name_of(path, paths);
    }
    return runs;
}

}  // namespace gpremap
