// Fewer points, and every stall still in them.
#include "vmm/page/thinning.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace gpremap {
namespace {

ShownSeries steady(size_t rows) {
    ShownSeries series;
    for (size_t row = 1; row <= rows; row++) {
        series.t_ns.push_back(static_cast<double>(row) * 1e6);
        series.ops.push_back(1000);
        series.bytes.push_back(0);
        series.max_ns.push_back(10);
    }
    return series;
}

TEST(Thinning, KeepsTheLeastTheMostAndTheLongest) {
    ShownSeries series = steady(100'000);
    series.ops[54'321] = 0;
    series.ops[77'777] = 5000;
    series.max_ns[12'345] = 1e9;
    const ThinSeries thin = thinned(series, 500);
    ASSERT_EQ(thin.t_ns.size(), 500u);
    EXPECT_EQ(std::ranges::min(thin.low), 0);
    EXPECT_DOUBLE_EQ(std::ranges::max(thin.high), 5e6);
    EXPECT_EQ(std::ranges::max(thin.max_ns), 1e9);
    EXPECT_EQ(thin.t_ns.back(), series.t_ns.back());
}

TEST(Thinning, LosesNoOperation) {
    ShownSeries series = steady(1001);
    for (size_t row = 0; row < series.ops.size(); row++) series.ops[row] = static_cast<double>(row % 17);
    const ThinSeries thin = thinned(series, 77);
    double sum = 0, before = series.t_ns.front();
    for (size_t point = 0; point < thin.t_ns.size(); point++) {
        sum += thin.rate[point] * (thin.t_ns[point] - before) / 1e9;
        before = thin.t_ns[point];
    }
    double all = 0;
    for (size_t row = 1; row < series.ops.size(); row++) all += series.ops[row];
    EXPECT_NEAR(sum, all, 1e-6);
}

TEST(Thinning, LeavesAShortOneAsItIs) {
    const ThinSeries thin = thinned(steady(5), 100);
    ASSERT_EQ(thin.rate.size(), 4u);  // the first begins where nobody says
    for (double rate : thin.rate) EXPECT_DOUBLE_EQ(rate, 1e6);
    EXPECT_TRUE(thinned(steady(1), 100).rate.empty());
    EXPECT_TRUE(thinned(ShownSeries(), 100).rate.empty());
}

TEST(Thinning, TimeThatStandsStillHasNoRate) {
    ShownSeries series = steady(4);
    series.t_ns = {1e6, 1e6, 2e6, 2e6};
    for (double rate : thinned(series, 2).rate) EXPECT_LT(rate, 1e12);
}

TEST(Thinning, TheLongestCallsStay) {
    std::vector<ShownStep> steps(10'000);
    for (size_t i = 0; i < steps.size(); i++) {
        steps[i].begin_ns = static_cast<double>(i);
        steps[i].call_ns = i == 4321 ? 1000 : 1;
    }
    const auto calls = thinned_calls(steps, 100);
    EXPECT_EQ(calls.size(), 100u);
    EXPECT_EQ(std::ranges::count(calls, 1000, &ShownStep::call_ns), 1);
}

}  // namespace
}  // namespace gpremap
