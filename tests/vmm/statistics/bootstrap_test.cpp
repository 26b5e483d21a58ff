#include "vmm/statistics/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "vmm/base/spread.h"

namespace gpremap {
namespace {

// As it is defined: each resample draws n times. What stands in the program is the same, without the draws.
Interval by_drawing(const std::vector<double>& samples) {
    std::mt19937_64 random(7);
    std::vector<double> medians;
    std::uniform_int_distribution<size_t> any(0, samples.size() - 1);
    for (int i = 0; i < 20'000; i++) {
        std::vector<double> drawn;
        for (size_t k = 0; k < samples.size(); k++) drawn.push_back(samples[any(random)]);
        medians.push_back(spread_of(drawn).median);
    }
    std::sort(medians.begin(), medians.end());
    return {medians[500], medians[19'499]};
}

TEST(Bootstrap, IsThatOfResamples) {
    for (const size_t n : {5u, 6u, 30u, 31u}) {
        std::mt19937_64 random(n);
        std::vector<double> samples;
        for (size_t i = 0; i < n; i++) samples.push_back(std::lognormal_distribution(0.0, 0.3)(random));
        const Interval expected = by_drawing(samples), interval = median_interval(samples, 1);
        EXPECT_NEAR(interval.low, expected.low, 0.05) << n;
        EXPECT_NEAR(interval.high, expected.high, 0.05) << n;
    }
}

// With continuous samples, in about 95 % of all cases.
TEST(Bootstrap, HoldsTheMedian) {
    constexpr int cases = 400;
    int held = 0, ratio_held = 0;
    std::mt19937_64 random(3);
    std::normal_distribution around(10.0, 1.0);
    for (int i = 0; i < cases; i++) {
        std::vector<double> a, b;
        for (int k = 0; k < 40; k++) {
            a.push_back(around(random));
            b.push_back(2 * around(random));
        }
        const Interval one = median_interval(a, static_cast<uint64_t>(i));
        const Interval both = ratio_interval(a, b, static_cast<uint64_t>(i));
        held += one.low <= 10 && 10 <= one.high;
        ratio_held += both.low <= 2 && 2 <= both.high;
    }
    for (const int count : {held, ratio_held}) {
        EXPECT_GT(count, cases * 90 / 100);
        EXPECT_LT(count, cases);
    }
}

TEST(Bootstrap, OfOneSampleAndOfEqualOnes) {
    EXPECT_EQ(median_interval({3}, 1).low, 3);
    EXPECT_EQ(median_interval({3, 3, 3, 3}, 1).high, 3);
    EXPECT_EQ(ratio_interval({2, 2}, {3}, 1).low, 1.5);
}

TEST(Bootstrap, SameSeedSameInterval) {
    const std::vector<double> samples{1, 5, 2, 8, 3, 9, 4};
    EXPECT_EQ(median_interval(samples, 4).low, median_interval(samples, 4).low);
    EXPECT_EQ(median_interval(samples, 4).high, median_interval({9, 8, 5, 4, 3, 2, 1}, 4).high);
}

}  // namespace
}  // namespace gpremap
