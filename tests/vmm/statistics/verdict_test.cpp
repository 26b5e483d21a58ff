#include "vmm/statistics/verdict.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "vmm/statistics/permutation.h"

namespace gpremap {
namespace {

std::vector<double> around(double middle, double spread, size_t n, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<double> samples;
    for (size_t i = 0; i < n; i++) samples.push_back(middle * std::normal_distribution(1.0, spread)(random));
    return samples;
}

// ---- the test ----

// Of 20 ways to choose 3 of 6, one is this and one its mirror image.
TEST(Permutation, IsTheShareOfWays) {
    EXPECT_NEAR(permutation_p({1, 2, 3}, {4, 5, 6}, 100'000, 1), 0.1, 0.03);
    EXPECT_NEAR(permutation_p({4, 5, 6}, {1, 2, 3}, 100'000, 1), 0.1, 0.03);
    EXPECT_DOUBLE_EQ(least_p(3, 3), 0.1);
    EXPECT_DOUBLE_EQ(least_p(1, 1), 1);
    EXPECT_NEAR(least_p(5, 5), 2.0 / 252, 1e-12);
}

TEST(Permutation, OfEqualSamplesIsOne) {
    EXPECT_EQ(permutation_p({2, 2, 2}, {2, 2, 2, 2}, 1000, 1), 1);
}

TEST(Permutation, IsNoneOfOrderOrScale) {
    const std::vector<double> a = around(10, 0.1, 20, 1), b = around(11, 0.1, 25, 2);
    std::vector<double> logs_a, logs_b;
    for (const double each : a) logs_a.push_back(std::log(each));
    for (const double each : b) logs_b.push_back(std::log(each));
    EXPECT_EQ(permutation_p(a, b, 10'000, 1), permutation_p(logs_a, logs_b, 10'000, 1));
}

// Under no difference, p is below 5 % in about 5 % of all cases.
TEST(Permutation, ErrsAsOftenAsItSays) {
    int below = 0;
    for (uint64_t i = 0; i < 1000; i++)
        below += permutation_p(around(1, 0.2, 8, 2 * i), around(1, 0.2, 12, 2 * i + 1), 1000, i) <= 0.05;
    EXPECT_GT(below, 20);
    EXPECT_LT(below, 80);
}

TEST(Permutation, HolmsCorrection) {
    EXPECT_EQ(corrected({0.01}), std::vector<double>{0.01});
    const std::vector<double> all = corrected({0.04, 0.01, 0.5, 0.03});
    EXPECT_DOUBLE_EQ(all[1], 0.04);
    EXPECT_DOUBLE_EQ(all[3], 0.09);
    EXPECT_DOUBLE_EQ(all[0], 0.09);  // not below one that comes before it
    EXPECT_DOUBLE_EQ(all[2], 0.5);
    EXPECT_TRUE(corrected({}).empty());
}

// ---- the verdict ----

Judgement judge_one(std::vector<double> base, std::vector<double> fresh, Better better = Better::lower,
                    const JudgementOptions& options = {}) {
    const std::vector<SamplePair> pairs{{better, std::move(base), std::move(fresh)}};
    return judge(pairs, options).front();
}

TEST(Verdict, SlowerAndFaster) {
    const auto base = around(100, 0.02, 30, 1), more = around(120, 0.02, 30, 2);
    EXPECT_EQ(judge_one(base, more).verdict, Verdict::slower);
    EXPECT_EQ(judge_one(more, base).verdict, Verdict::faster);
    EXPECT_EQ(judge_one(base, more, Better::higher).verdict, Verdict::faster);
    EXPECT_EQ(judge_one(more, base, Better::higher).verdict, Verdict::slower);
    EXPECT_NEAR(judge_one(base, more).ratio, 1.2, 0.02);
}

TEST(Verdict, ADifferenceBelowTheEffectIsNone) {
    const auto base = around(100, 0.01, 200, 1), more = around(103, 0.01, 200, 2);
    const Judgement judgement = judge_one(base, more);
    EXPECT_LT(judgement.p, 0.001);
    EXPECT_EQ(judgement.verdict, Verdict::no_difference);
    EXPECT_EQ(judge_one(base, more, Better::lower, {.effect = 0.01}).verdict, Verdict::slower);
}

TEST(Verdict, TooNoisyWhereItCouldBeEither) {
    EXPECT_EQ(judge_one(around(100, 0.5, 8, 1), around(100, 0.5, 8, 2)).verdict, Verdict::too_noisy);
    EXPECT_EQ(judge_one(around(100, 0.01, 8, 1), around(100, 0.01, 8, 2)).verdict, Verdict::no_difference);
    EXPECT_EQ(judge_one({100, 100}, {200, 200}).verdict, Verdict::too_noisy);  // by chance in one of three
}

TEST(Verdict, OfNothing) {
    EXPECT_EQ(judge_one({0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0}).verdict, Verdict::no_difference);
    EXPECT_EQ(judge_one({0, 0, 0, 0, 0, 0}, {1, 1, 1, 1, 1, 1}).verdict, Verdict::too_noisy);
}

TEST(Verdict, IsTheSameAgain) {
    const auto base = around(100, 0.1, 30, 1), more = around(105, 0.1, 30, 2);
    const Judgement first = judge_one(base, more), second = judge_one(base, more);
    EXPECT_EQ(first.p, second.p);
    EXPECT_EQ(first.interval.low, second.interval.low);
}

// One of many is slower: the correction does not hide it.
TEST(Verdict, OneOfAHundred) {
    std::vector<SamplePair> pairs;
    for (uint64_t i = 0; i < 100; i++)
        pairs.push_back(
            {Better::lower, around(1, 0.03, 20, 2 * i), around(i == 42 ? 1.2 : 1, 0.03, 20, 2 * i + 1)});
    const std::vector<Judgement> judgements = judge(pairs, {});
    for (size_t i = 0; i < judgements.size(); i++)
        EXPECT_EQ(judgements[i].verdict == Verdict::slower, i == 42) << i;
}

}  // namespace
}  // namespace gpremap
