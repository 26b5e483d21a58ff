#include "vmm/report/workload_table.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <map>
#include <ostream>
#include <string>

#include "vmm/base/spread.h"

namespace gpremap {

namespace {

// "1.23 M", "200 k", "17"
std::string with_prefix(double number) {
    for (const auto& [factor, prefix] : {std::pair(1e9, " G"), std::pair(1e6, " M"), std::pair(1e3, " k")})
        if (number >= factor) return fmt::format("{:.3g}{}", number / factor, prefix);
    return fmt::format("{:.3g} ", number);
}

// A time in ns: "85 ns", "6.18 ms"
std::string duration(uint64_t ns) {
    for (const auto& [factor, unit] : {std::pair(1e9, "s"), std::pair(1e6, "ms"), std::pair(1e3, "us")})
        if (static_cast<double>(ns) >= factor)
            return fmt::format("{:.3g} {}", static_cast<double>(ns) / factor, unit);
    return fmt::format("{} ns", ns);
}

std::string describe(const LatencySummary& latency) {
    return fmt::format("p50 {}, p99 {}, p99.9 {}, p99.99 {}, max {}", duration(latency.p50),
                       duration(latency.p99), duration(latency.p99_9), duration(latency.p99_99),
                       duration(latency.max));
}

std::string throughput(const WorkloadResult& workload) {
    std::string text = fmt::format("{}op/s", with_prefix(workload.achieved_per_s));
    if (workload.asked_per_s) text += fmt::format(" (asked for {}op/s)", with_prefix(*workload.asked_per_s));
    if (workload.bytes > 0 && workload.seconds > 0)
        text += fmt::format(", {}B/s", with_prefix(static_cast<double>(workload.bytes) / workload.seconds));
    if (workload.faults > 0) text += fmt::format(", {} faults", workload.faults);
    return text;
}

void print_events(std::ostream& out, const WorkloadResult& workload) {
    std::map<std::string, std::vector<uint64_t>> times;
    for (const WorkloadEvent& event : workload.events) times[event.name].push_back(event.ns);
    for (const auto& [name, each] : times) {
        const auto spread = spread_of(each);
        fmt::print(out, "    {} \"{}\": median {}, p99 {}, max {}\n", each.size(), name,
                   duration(spread.median), duration(spread.p99), duration(spread.max));
    }
    if (workload.dropped > 0) fmt::print(out, "    {} rows and events were lost\n", workload.dropped);
}

}  // namespace

void print_workloads(std::ostream& out, const std::vector<WorkloadResult>& workloads, Colour colour) {
    for (const WorkloadResult& workload : workloads) {
        fmt::print(out, "\n{}: {} on vCPU {}{}, {:.3g} s: {}\n", workload.name, workload.does, workload.vcpu,
                   workload.range ? ", range " + *workload.range : "", workload.seconds,
                   throughput(workload));
        if (workload.latency.n > 0)
            fmt::print(out, "    an operation:      {}\n", describe(workload.latency));
        if (workload.beside_calls.n > 0)
            fmt::print(out, "    {:>6} beside calls: {}\n", workload.beside_calls.n,
                       describe(workload.beside_calls));
        print_events(out, workload);
        for (const auto& [name, value] : workload.values)
            fmt::print(out, "    {}: {}\n", name, with_prefix(value));
        if (!workload.ok)
            fmt::print(out, "    {} {}\n", colour == Colour::ansi ? "\x1b[1;31mFAILED\x1b[0m" : "FAILED",
                       workload.problem);
    }
}

}  // namespace gpremap
