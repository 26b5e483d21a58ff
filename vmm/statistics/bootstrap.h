// How far a median may be off: intervals by the bootstrap, with percentiles of what resampling gives.
#pragma once

#include <cstdint>
#include <vector>

namespace gpremap {

// In the unit of the samples, or a ratio of two of them.
struct Interval {
    double low = 0;
    double high = 0;
};

// That holds the median with a probability of 95 %. Of at least one sample, in any order.
Interval median_interval(std::vector<double> samples, uint64_t seed);

// The same for the median of `fresh` over that of `base`. No sample of `base` is 0 or less.
Interval ratio_interval(std::vector<double> base, std::vector<double> fresh, uint64_t seed);

}  // namespace gpremap
