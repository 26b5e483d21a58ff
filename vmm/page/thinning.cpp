#include "vmm/page/thinning.h"

#include <algorithm>

namespace gpremap {

// The first row begins where nobody says, so it only begins the second.
ThinSeries thinned(const ShownSeries& series, size_t most) {
    ThinSeries thin;
    if (series.t_ns.size() < 2) return thin;
    const std::vector<double>& amounts = series.amounts();
    const size_t rows = series.t_ns.size() - 1, points = std::min(rows, most);
    for (size_t point = 0; point < points; point++) {
        const size_t begin = 1 + point * rows / points, end = 1 + (point + 1) * rows / points;
        double amount = 0, low = -1, high = 0, longest = 0;
        for (size_t row = begin; row < end; row++) {
            const double seconds = (series.t_ns[row] - series.t_ns[row - 1]) / 1e9;
            amount += amounts[row];
            longest = std::max(longest, series.max_ns[row]);
            if (seconds <= 0) continue;
            const double rate = amounts[row] / seconds;
            low = low < 0 ? rate : std::min(low, rate);
            high = std::max(high, rate);
        }
        const double seconds = (series.t_ns[end - 1] - series.t_ns[begin - 1]) / 1e9;
        if (seconds <= 0) continue;
        thin.t_ns.push_back(series.t_ns[end - 1]);
        thin.rate.push_back(amount / seconds);
        thin.low.push_back(std::max(low, 0.0));
        thin.high.push_back(high);
        thin.max_ns.push_back(longest);
    }
    return thin;
}

std::vector<const ShownStep*> thinned_calls(const std::vector<ShownStep>& steps, size_t most) {
    std::vector<const ShownStep*> calls;
    for (const ShownStep& step : steps)
        if (step.call_ns > 0) calls.push_back(&step);
    std::ranges::stable_sort(calls, {}, &ShownStep::begin_ns);
    if (calls.size() <= most) return calls;
    std::vector<const ShownStep*> longest;
    for (size_t part = 0; part < most; part++) {
        const auto begin = calls.begin() + static_cast<std::ptrdiff_t>(part * calls.size() / most);
        const auto end = calls.begin() + static_cast<std::ptrdiff_t>((part + 1) * calls.size() / most);
        longest.push_back(*std::ranges::max_element(begin, end, {}, &ShownStep::call_ns));
    }
    return longest;
}

}  // namespace gpremap
