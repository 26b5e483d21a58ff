// Series and calls with as many points as a page can draw, and every stall still in them.
#pragma once

#include <cstddef>
#include <vector>

#include "vmm/page/run.h"

namespace gpremap {

// Bytes or operations a second, in lists of one length: `rate` is that of all rows up to `t_ns` and later than the point
// before, `low` and `high` the least and the most of a single one of them.
struct ThinSeries {
    std::vector<double> t_ns, rate, low, high;
    std::vector<double> max_ns;  // the longest operation in it
};

// Points that come `most` at most, each of neighbouring rows.
ThinSeries thinned(const ShownSeries& series, size_t most);

// Calls in the order of their beginnings, `most` at most: the longest of neighbours stand for them.
std::vector<const ShownStep*> thinned_calls(const std::vector<ShownStep>& steps, size_t most);

}  // namespace gpremap
