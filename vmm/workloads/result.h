// What came of the workloads of a run: plain data, as its result says it. Points in time are ns since the run's
// first step began, on one clock for the guest's samples, the VMM's events and the host's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace gpremap {

// That clock.
struct ClockFacts {
    std::string source = "guest TSC";
    uint64_t tsc_khz = 0;
    // By how much a time of the host's may be off, read on the guest's clock.
    uint64_t error_ns = 0;
};

// In ns. All 0 where nothing was counted.
struct LatencySummary {
    uint64_t n = 0;  // how many there were
    uint64_t p50 = 0;
    uint64_t p90 = 0;
    uint64_t p99 = 0;
    uint64_t p99_9 = 0;
    uint64_t p99_99 = 0;
    uint64_t max = 0;
};

// How many operations took how long: lists of one length, a row for all that took up to `upto_ns`, and longer than the
// row before. Rows are 2 % wide at most, beyond what three digits make of it; there is none without an operation.
struct LatencyHistogram {
    std::vector<uint64_t> upto_ns;       // growing
    std::vector<uint64_t> quiet;         // operations that overlap no call
    std::vector<uint64_t> beside_calls;  // the others
};

// Something that a workload has seen, such as a gap.
struct WorkloadEvent {
    std::string name;
    uint64_t begin_ns = 0;
    uint64_t ns = 0;  // how long it took
};

struct WorkloadResult {
    std::string name;
    unsigned vcpu = 0;
    std::string does;                  // "stream", "chase", ...
    std::optional<std::string> range;  // nothing where it has none
    uint64_t ops = 0;
    uint64_t bytes = 0;
    double seconds = 0;                 // that it ran
    std::optional<double> asked_per_s;  // nothing where it ran as fast as it could
    double achieved_per_s = 0;
    LatencySummary latency;
    LatencySummary beside_calls;  // those of them that overlap a call
    LatencyHistogram histogram;   // all of them
    uint64_t faults = 0;          // of the second stage, while it ran
    std::vector<WorkloadEvent> events;
    uint64_t dropped = 0;                  // events that had no room
    std::map<std::string, double> values;  // its own, by name
    bool ok = true;
    std::string problem;  // where not ok
};

// What a workload did over time. All vectors are of one length, a row for each sample.
struct WorkloadSeries {
    std::string workload;
    unsigned vcpu = 0;
    std::vector<uint64_t> t_ns;  // the end of the sample, growing
    std::vector<uint64_t> ops;   // in the sample
    std::vector<uint64_t> bytes;
    std::vector<uint64_t> max_ns;  // the longest of them
};

}  // namespace gpremap
