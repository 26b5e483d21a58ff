// Results of earlier runs, read from their files.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/results/metrics.h"

namespace gpremap {

inline constexpr std::string_view run_schema = "gpremap.run/1";
inline constexpr std::string_view bench_schema = "gpremap.bench/1";
inline constexpr std::string_view merge_schema = "gpremap.merge/1";

// One run.
struct MeasuredRun {
    JsonObject parameters = JsonObject::object();
    JsonObject host = JsonObject::object();  // a factor: runs of different ones are not the same
    std::string began;                       // UTC; empty where the result does not say
    uint64_t failed = 0;                     // steps, or workloads, that were not as expected
    std::vector<Metric> metrics;
};

// What is in a file of one of these schemas, whole or cut short. Throws ConfigError, with the file and what was expected,
// where it is no JSON, or of another schema.
JsonObject read_result(const std::string& path, std::span<const std::string_view> schemas);

// The runs in what is read so from `path`: one, or those of a merged result. Throws ConfigError, with the file and what was
// expected, where it is not what its schema says; also for what a signal or the guest's death has cut short.
std::vector<MeasuredRun> runs_of(const JsonObject& result, const std::string& path);

// Both at once.
std::vector<MeasuredRun> read_runs(const std::string& path, std::span<const std::string_view> schemas);

// The run in `path`; nothing where it is no whole result of one, as read_runs takes it.
std::optional<MeasuredRun> whole_run_in(const std::string& path);

// What is the same for what is equal, whatever the order in which its keys were written.
std::string key_of(const JsonObject& json);

}  // namespace gpremap
