// What is measured in a result: what `diff` judges, `merge` keeps, and a sweep measures until it is precise.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/statistics/verdict.h"

namespace gpremap {

struct Metric {
    std::string name;  // "writer: per_s", "move range=heap to=17179869184: call_ns"
    Better better = Better::lower;
    std::vector<double> samples;  // at least one; of a run that has ended
};

// Of a result of schema gpremap.run/1: of each workload `per_s` (operations, in up to 30 parts of its series) and
// its latencies `p50`, `p99` and `p99_9` (ns, one of each for all of the run); then, of each call and each work of
// the guest with the same arguments, `call_ns` and `guest_ns` of those that were as expected. Throws
// nlohmann::json::exception where it is not what its schema says.
std::vector<Metric> metrics_of_run(const JsonObject& result);

// Of a result of schema gpremap.bench/1: a metric for each row, in the row's unit.
std::vector<Metric> metrics_of_bench(const JsonObject& result);
std::string name_of_bench_row(const JsonObject& row);

// What a metric is in, whose name says so where that is none of the first two.
enum class MetricUnit { ns, operations_a_second, bytes };
MetricUnit unit_of(std::string_view name, Better better);

// As merged results hold them.
JsonObject json_of(const std::vector<Metric>& metrics);
std::vector<Metric> metrics_in(const JsonObject& json);

}  // namespace gpremap
