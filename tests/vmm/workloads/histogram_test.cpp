// The histogram as the guest counts and as the host reads it.
#include "vmm/workloads/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "guest/runtime/record.h"

namespace gpremap {
namespace {

void count(Counts& counts, uint64_t ns, uint64_t times = 1) {
    counts[gpremap_bucket_of(ns)] += times;
}

TEST(Histogram, EveryLatencyIsInABucketThatEndsNoEarlier) {
    for (uint64_t ns : {0ull, 1ull, 2047ull, 2048ull, 2049ull, 4095ull, 4096ull, 1'000'000ull,
                        99'999'999'999ull, (1ull << 37) - 1}) {
        const uint64_t bucket = gpremap_bucket_of(ns);
        EXPECT_LE(ns, longest_in(bucket));
        EXPECT_TRUE(bucket == 0 || longest_in(bucket - 1) < ns) << ns;
    }
}

TEST(Histogram, ThreeDigitsAreRight) {
    std::mt19937_64 random(7);
    for (int i = 0; i < 100'000; i++) {
        const uint64_t ns = random() >> (27 + random() % 36);
        EXPECT_LE(longest_in(gpremap_bucket_of(ns)) - ns, ns / 1000) << ns;
    }
}

TEST(Histogram, BucketsFollowOneAnother) {
    for (uint64_t bucket = 1; bucket < GPREMAP_BUCKETS; bucket++) {
        ASSERT_LT(longest_in(bucket - 1), longest_in(bucket));
        ASSERT_EQ(gpremap_bucket_of(longest_in(bucket - 1) + 1), bucket);
    }
    EXPECT_GE(longest_in(GPREMAP_BUCKETS - 1), 100'000'000'000);
}

TEST(Histogram, WhatIsTooLongCountsInTheLast) {
    EXPECT_EQ(gpremap_bucket_of(~0ull), GPREMAP_BUCKETS - 1);
}

TEST(Histogram, PercentilesAreByNearestRank) {
    Counts counts(GPREMAP_BUCKETS);
    for (uint64_t ns = 1; ns <= 1000; ns++) count(counts, ns);
    const LatencySummary summary = summary_of(counts);
    EXPECT_EQ(summary.n, 1000u);
    EXPECT_EQ(summary.p50, 500u);
    EXPECT_EQ(summary.p90, 900u);
    EXPECT_EQ(summary.p99, 990u);
    EXPECT_EQ(summary.p99_9, 999u);
    EXPECT_EQ(summary.p99_99, 1000u);
    EXPECT_EQ(summary.max, 1000u);
}

TEST(Histogram, OneLatencyIsAllPercentiles) {
    Counts counts(GPREMAP_BUCKETS);
    count(counts, 77);
    const LatencySummary summary = summary_of(counts);
    EXPECT_EQ(summary.p50, 77u);
    EXPECT_EQ(summary.max, 77u);
}

TEST(Histogram, NoneIsAllZero) {
    EXPECT_EQ(summary_of(Counts(GPREMAP_BUCKETS)).max, 0u);
}

TEST(Histogram, RowsAreTwoPercentWideAndLoseNothing) {
    Counts quiet(GPREMAP_BUCKETS), beside(GPREMAP_BUCKETS);
    for (uint64_t ns = 100'000; ns < 200'000; ns += 7) count(quiet, ns);
    count(beside, 3, 5);
    count(beside, 5'000'000'000);
    const LatencyHistogram histogram = histogram_of(quiet, beside);
    ASSERT_EQ(histogram.upto_ns.size(), histogram.quiet.size());
    ASSERT_EQ(histogram.upto_ns.size(), histogram.beside_calls.size());
    EXPECT_LT(histogram.upto_ns.size(), 40u);
    EXPECT_TRUE(std::ranges::is_sorted(histogram.upto_ns));
    EXPECT_EQ(std::accumulate(histogram.quiet.begin(), histogram.quiet.end(), 0u), (100'000u + 6) / 7);
    EXPECT_EQ(histogram.upto_ns.front(), 3u);
    EXPECT_EQ(histogram.beside_calls.front(), 5u);
    EXPECT_EQ(histogram.beside_calls.back(), 1u);
    for (size_t row = 2; row + 1 < histogram.upto_ns.size(); row++)
        EXPECT_LE(histogram.upto_ns[row] * 100, histogram.upto_ns[row - 1] * 103);
}

}  // namespace
}  // namespace gpremap
