#include "vmm/workloads/histogram.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace gpremap {

namespace {

uint64_t percentile(std::span<const uint64_t> counts, uint64_t all, double share) {
    const auto rank =
        std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(static_cast<double>(all) * share)));
    uint64_t counted = 0;
    for (uint64_t bucket = 0; bucket < counts.size(); bucket++) {
        counted += counts[bucket];
        if (counted >= rank) return longest_in(bucket);
    }
    return 0;
}

}  // namespace

uint64_t longest_in(uint64_t bucket) {
    constexpr uint64_t half = 1024;
    if (bucket < 2 * half) return bucket;
    const uint64_t shift = bucket / half - 1;
    return ((half + bucket % half + 1) << shift) - 1;
}

LatencySummary summary_of(std::span<const uint64_t> counts) {
    const uint64_t all = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
    if (all == 0) return {};
    auto at = [&](double share) { return percentile(counts, all, share); };
    return {all, at(0.5), at(0.9), at(0.99), at(0.999), at(0.9999), at(1)};
}

LatencyHistogram histogram_of(const Counts& quiet, const Counts& beside_calls) {
    constexpr double width = 1.02;
    LatencyHistogram histogram;
    double end = 0;  // where the row that is being counted must end
    for (uint64_t bucket = 0; bucket < quiet.size(); bucket++) {
        if (quiet[bucket] + beside_calls[bucket] == 0) continue;
        const uint64_t longest = longest_in(bucket);
        if (histogram.upto_ns.empty() || static_cast<double>(longest) > end) {
            histogram.upto_ns.push_back(longest);
            histogram.quiet.push_back(0);
            histogram.beside_calls.push_back(0);
            end = static_cast<double>(longest) * width;
        }
        histogram.upto_ns.back() = longest;
        histogram.quiet.back() += quiet[bucket];
        histogram.beside_calls.back() += beside_calls[bucket];
    }
    return histogram;
}

Counts sum_of(const Counts& a, const Counts& b) {
    Counts sum(a.size());
    std::ranges::transform(a, b, sum.begin(), std::plus());
    return sum;
}

}  // namespace gpremap
