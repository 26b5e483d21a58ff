#include "vmm/results/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <unordered_map>
#include <utility>

namespace gpremap {

namespace {

// In the order in which their first samples come.
class Metrics {
  public:
    void add(const std::string& name, Better better, double sample) {
        const auto [place, is_new] = places_.try_emplace(name, all_.size());
        if (is_new) all_.push_back({name, better, {}});
        all_[place->second].samples.push_back(sample);
    }

    std::vector<Metric> take() { return std::move(all_); }

  private:
    std::vector<Metric> all_;
    std::unordered_map<std::string, size_t> places_;
};

// Operations a second in each of up to 30 parts of the series, of equal numbers of rows. The first row begins
// where nobody says, so it only begins the second.
void add_throughput(Metrics& metrics, const std::string& name, const JsonObject& series) {
    constexpr size_t most_parts = 30;
    const auto ends = series.at("t_ns").get<std::vector<double>>();
    const auto ops = series.at("ops").get<std::vector<double>>();
    const size_t rows = std::min(ends.size(), ops.size());
    if (rows < 2) return;
    const size_t parts = std::min(most_parts, rows - 1);
    for (size_t part = 0; part < parts; part++) {
        const size_t begin = 1 + part * (rows - 1) / parts, end = 1 + (part + 1) * (rows - 1) / parts;
        const double seconds = (ends[end - 1] - ends[begin - 1]) / 1e9;
        double sum = 0;
        for (size_t row = begin; row < end; row++) sum += ops[row];
        if (seconds > 0) metrics.add(name, Better::higher, sum / seconds);
    }
}

void add_workload(Metrics& metrics, const JsonObject& result, const JsonObject& workload) {
    const std::string name = workload.at("name");
    for (const JsonObject& series : result.at("series"))
        if (series.at("workload") == name && series.at("vcpu") == workload.at("vcpu"))
            add_throughput(metrics, name + ": per_s", series);
    const JsonObject& latency = workload.at("latency_ns");
    if (latency.at("n").get<double>() == 0) return;
    for (const char* percentile : {"p50", "p99", "p99_9"})
        metrics.add(fmt::format("{}: {}", name, percentile), Better::lower, latency.at(percentile));
}

std::string text_of(const JsonObject& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

// "move range=heap to=17179869184"
std::string name_of_step(const JsonObject& step) {
    std::string name = step.at("call");
    for (const auto& [key, value] : step.at("args").items())
        name += fmt::format(" {}={}", key, text_of(value));
    return name;
}

void add_step(Metrics& metrics, const JsonObject& step) {
    if (!step.at("ok").get<bool>()) return;
    for (const char* time : {"call_ns", "guest_ns"})
        if (const double ns = step.at(time); ns > 0)
            metrics.add(fmt::format("{}: {}", name_of_step(step), time), Better::lower, ns);
}

}  // namespace

std::vector<Metric> metrics_of_run(const JsonObject& result) {
    Metrics metrics;
    if (result.contains("workloads"))
        for (const JsonObject& workload : result.at("workloads")) add_workload(metrics, result, workload);
    for (const JsonObject& step : result.at("steps")) add_step(metrics, step);
    return metrics.take();
}

std::string name_of_bench_row(const JsonObject& row) {
    return fmt::format("{} {} {} {}: {}", row.at("bench").get<std::string>(), row.at("size").get<uint64_t>(),
                       row.at("backing").get<std::string>(), row.at("mechanism").get<std::string>(),
                       row.at("unit").get<std::string>());
}

MetricUnit unit_of(std::string_view name, Better better) {
    if (better == Better::higher) return MetricUnit::operations_a_second;
    return name.find(": bytes") != name.npos ? MetricUnit::bytes : MetricUnit::ns;
}

std::vector<Metric> metrics_of_bench(const JsonObject& result) {
    Metrics metrics;
    for (const JsonObject& row : result.at("rows")) {
        const std::string name = name_of_bench_row(row);
        for (const JsonObject& sample : row.at("samples")) metrics.add(name, Better::lower, sample);
    }
    return metrics.take();
}

JsonObject json_of(const std::vector<Metric>& metrics) {
    JsonObject json = JsonObject::array();
    for (const Metric& metric : metrics)
        json.push_back(
            {{"name", metric.name}, {"better", name_of(metric.better)}, {"samples", metric.samples}});
    return json;
}

std::vector<Metric> metrics_in(const JsonObject& json) {
    std::vector<Metric> metrics;
    for (const JsonObject& each : json) {
        const bool is_higher = each.at("better") == name_of(Better::higher);
        metrics.push_back({each.at("name"), is_higher ? Better::higher : Better::lower,
                           each.at("samples").get<std::vector<double>>()});
    }
    return metrics;
}

}  // namespace gpremap
