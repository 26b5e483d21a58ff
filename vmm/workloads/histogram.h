// The latencies that a workload has counted (guest/abi/workload.h: in ns, log-linear, three digits).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "guest/abi/workload.h"
#include "vmm/workloads/result.h"

namespace gpremap {

using Counts = std::vector<uint64_t>;  // GPREMAP_BUCKETS of them

// The longest latency that counts in this bucket, in ns.
uint64_t longest_in(uint64_t bucket);

// Percentiles by nearest rank: each is the longest latency of its bucket.
LatencySummary summary_of(std::span<const uint64_t> counts);

LatencyHistogram histogram_of(const Counts& quiet, const Counts& beside_calls);

Counts sum_of(const Counts& a, const Counts& b);

}  // namespace gpremap
