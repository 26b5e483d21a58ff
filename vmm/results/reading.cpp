#include "vmm/results/reading.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "vmm/base/errors.h"
#include "vmm/base/json_reading.h"
#include "vmm/base/text_file.h"

namespace gpremap {

namespace {

JsonObject parse(const std::string& path) {
    try {
        return parse_json(read_text(path, largest_result), path);
    } catch (const JsonObject::parse_error& error) {  // whose text has what the file says there
        throw ConfigError(fmt::format(
            "{}: expected a whole result as --json writes it; this is none, or it is cut (at byte {})", path,
            error.byte));
    }
}

void require_schema(const JsonObject& result, const std::string& path,
                    std::span<const std::string_view> schemas) {
    const JsonObject schema = result.is_object() ? result.value("schema", JsonObject()) : JsonObject();
    if (schema.is_string() && std::ranges::find(schemas, schema.get<std::string>()) != schemas.end()) return;
    throw ConfigError(fmt::format("{}: expected a result of schema {}, got {}", path,
                                  fmt::join(schemas, " or "), schema.is_null() ? "none" : schema.dump()));
}

void refuse_what_was_cut_short(const JsonObject& run, const std::string& path) {
    const char* why = run.contains("died")          ? "its guest died"
                      : run.contains("host_error")  ? "the host refused something"
                      : run.contains("interrupted") ? "it was interrupted"
                                                    : nullptr;
    if (why) throw ConfigError(fmt::format("{}: expected a run that came to its end, but {}", path, why));
}

uint64_t failed_in(const JsonObject& run) {
    const JsonObject& summary = run.at("summary");
    uint64_t failed = summary.at("failed").get<uint64_t>() + summary.value("skipped", uint64_t{0});
    if (run.contains("workloads"))
        for (const JsonObject& workload : run.at("workloads"))
            failed += workload.at("ok").get<bool>() ? 0 : 1;
    return failed;
}

std::vector<MeasuredRun> runs_in(const JsonObject& result, const std::string& path, std::string_view schema) {
    if (schema != merge_schema) refuse_what_was_cut_short(result, path);
    if (schema == bench_schema) return {{{}, result.at("host"), "", 0, metrics_of_bench(result)}};
    if (schema == run_schema) {
        const JsonObject parameters = result.value("parameters", JsonObject::object());
        return {{parameters, result.at("host"), result.value("began", ""), failed_in(result),
                 metrics_of_run(result)}};
    }
    std::vector<MeasuredRun> runs;
    for (const JsonObject& run : result.at("results"))
        runs.push_back({run.at("parameters"), run.at("host"), run.at("began"), run.at("failed"),
                        metrics_in(run.at("metrics"))});
    return runs;
}

}  // namespace

JsonObject read_result(const std::string& path, std::span<const std::string_view> schemas) {
    JsonObject result = parse(path);
    require_schema(result, path, schemas);
    return result;
}

std::vector<MeasuredRun> runs_of(const JsonObject& result, const std::string& path) {
    const std::string schema = result.at("schema");
    try {
        return runs_in(result, path, schema);
    } catch (const JsonObject::exception& error) {
        throw ConfigError(fmt::format("{}: expected what schema {} says ({})", path, schema, error.what()));
    }
}

std::vector<MeasuredRun> read_runs(const std::string& path, std::span<const std::string_view> schemas) {
    return runs_of(read_result(path, schemas), path);
}

std::optional<MeasuredRun> whole_run_in(const std::string& path) {
    constexpr std::string_view schemas[] = {run_schema};
    try {
        return std::move(read_runs(path, schemas).front());
    } catch (const ConfigError&) {
        return std::nullopt;
    }
}

std::string key_of(const JsonObject& json) {
    return nlohmann::json(json).dump();  // which sorts the keys
}

}  // namespace gpremap
