#include "vmm/report/workloads.h"

#include <fmt/format.h>

#include <iterator>

namespace gpremap {

namespace {

JsonObject json_of(const LatencySummary& latency) {
    return {{"n", latency.n},         {"p50", latency.p50},       {"p90", latency.p90}, {"p99", latency.p99},
            {"p99_9", latency.p99_9}, {"p99_99", latency.p99_99}, {"max", latency.max}};
}

JsonObject json_of(const LatencyHistogram& histogram) {
    return {
        {"upto_ns", histogram.upto_ns}, {"quiet", histogram.quiet}, {"beside_calls", histogram.beside_calls}};
}

JsonObject json_of(const std::vector<WorkloadEvent>& events) {
    JsonObject json = JsonObject::array();
    for (const WorkloadEvent& event : events)
        json.push_back({{"name", event.name}, {"begin_ns", event.begin_ns}, {"ns", event.ns}});
    return json;
}

// As RFC 4180 has it.
std::string quoted(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string all = "\"";
    for (char c : text) all += c == '"' ? "\"\"" : std::string(1, c);
    return all + '"';
}

}  // namespace

JsonObject json_of(const ClockFacts& clock) {
    return {{"source", clock.source}, {"tsc_khz", clock.tsc_khz}, {"error_ns", clock.error_ns}};
}

JsonObject json_of(const WorkloadResult& workload) {
    JsonObject json = {{"name", workload.name},
                       {"vcpu", workload.vcpu},
                       {"do", workload.does},
                       {"range", nullptr},
                       {"ops", workload.ops},
                       {"bytes", workload.bytes},
                       {"seconds", workload.seconds},
                       {"asked_per_s", nullptr},
                       {"achieved_per_s", workload.achieved_per_s},
                       {"latency_ns", json_of(workload.latency)},
                       {"beside_calls", json_of(workload.beside_calls)},
                       {"histogram", json_of(workload.histogram)},
                       {"faults", workload.faults},
                       {"events", json_of(workload.events)},
                       {"dropped", workload.dropped},
                       {"values", workload.values},
                       {"ok", workload.ok},
                       {"problem", nullptr}};
    if (workload.range) json["range"] = *workload.range;
    if (workload.asked_per_s) json["asked_per_s"] = *workload.asked_per_s;
    if (!workload.ok) json["problem"] = workload.problem;
    return json;
}

JsonObject json_of(const WorkloadSeries& series) {
    return {{"workload", series.workload}, {"vcpu", series.vcpu},   {"t_ns", series.t_ns},
            {"ops", series.ops},           {"bytes", series.bytes}, {"max_ns", series.max_ns}};
}

std::string csv_of(const std::vector<WorkloadSeries>& series) {
    std::string csv = "workload,vcpu,t_ns,ops,bytes,max_ns\n";
    for (const WorkloadSeries& each : series)
        for (size_t i = 0; i < each.t_ns.size(); i++)
            fmt::format_to(std::back_inserter(csv), "{},{},{},{},{},{}\n", quoted(each.workload), each.vcpu,
                           each.t_ns[i], each.ops[i], each.bytes[i], each.max_ns[i]);
    return csv;
}

}  // namespace gpremap
