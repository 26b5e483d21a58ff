// What a page says of a run in numbers: throughput with and without calls, latencies, calls of a kind.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/page/run.h"
#include "vmm/statistics/bootstrap.h"

namespace gpremap {

// Bytes or operations a second. Parts of the series: each is of neighbouring rows, with or without a call in them, and
// a long one is several parts, so that there are about 30 of either kind: rows beside each other tell nearly the same, and
// must not count as often as they are sampled.
struct Throughput {
    std::vector<double> quiet;         // in no row of it is a call
    std::vector<double> beside_calls;  // in every row of it is
};
Throughput throughput_of(const ShownSeries& series, const std::vector<ShownStep>& steps);

// Operations of a workload that took longer: of `histogram[key]` of a result, in ns. Nothing where it counts none.
struct Latencies {
    double n = 0;
    double p50 = 0, p99 = 0, p99_9 = 0, p99_99 = 0, max = 0;
};
std::optional<Latencies> latencies_of(const JsonObject& workload, std::string_view key);

// Fresh over base, of medians; nothing where one has no samples or the base is 0.
struct Ratio {
    double ratio = 0;
    std::optional<Interval> interval;  // 95 %; nothing for fewer than 3 samples of either
};
std::optional<Ratio> ratio_of(const std::vector<double>& base, const std::vector<double>& fresh);

// Calls of one verb and size that were as expected, in the order of their first.
struct CallKind {
    std::string call;
    double bytes = 0;
    std::vector<double> call_ns;
    double huge_kept = 0;  // how many of them
    double copies = 0;
    double faults = 0;
    double tlb_flushes = 0;
    double host_returned = 0;
};
std::vector<CallKind> kinds_of(const std::vector<ShownStep>& steps);

}  // namespace gpremap
