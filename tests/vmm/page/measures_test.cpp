// What is said of a run in numbers, of runs whose numbers are known.
#include "vmm/page/measures.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace gpremap {
namespace {

// 1,000 operations in each ms, and 100 in those with a call.
ShownRun run_with_calls(size_t rows, const std::vector<size_t>& calls) {
    ShownRun run;
    ShownSeries& series = run.series.emplace_back();
    for (size_t row = 0; row < rows; row++) {
        const bool has_call = std::ranges::count(calls, row) > 0;
        series.t_ns.push_back(static_cast<double>(row + 1) * 1e6);
        series.ops.push_back(has_call ? 100 : 1000);
        series.bytes.push_back(0);
        series.max_ns.push_back(0);
        if (!has_call) continue;
        ShownStep& step = run.steps.emplace_back();
        step.call = "grow";
        step.begin_ns = static_cast<double>(row) * 1e6 + 2e5;
        step.end_ns = step.begin_ns + 5e5;
        step.call_ns = 5e5;
        step.bytes = 4096;
    }
    return run;
}

TEST(Throughput, IsApartWithAndWithoutCalls) {
    const ShownRun run = run_with_calls(1000, {100, 101, 500, 999});
    const Throughput throughput = throughput_of(run.series[0], run.steps);
    EXPECT_EQ(throughput.beside_calls.size(), 4u);
    EXPECT_GE(throughput.quiet.size(), 25u);
    EXPECT_LE(throughput.quiet.size(), 40u);
    for (double rate : throughput.quiet) EXPECT_DOUBLE_EQ(rate, 1e6);
    for (double rate : throughput.beside_calls) EXPECT_DOUBLE_EQ(rate, 1e5);
    const auto ratio = ratio_of(throughput.quiet, throughput.beside_calls);
    ASSERT_TRUE(ratio);
    EXPECT_DOUBLE_EQ(ratio->ratio, 0.1);
    ASSERT_TRUE(ratio->interval);
    EXPECT_DOUBLE_EQ(ratio->interval->low, 0.1);
}

TEST(Throughput, OfNoCallsAndOfNothing) {
    const ShownRun run = run_with_calls(100, {});
    EXPECT_TRUE(throughput_of(run.series[0], run.steps).beside_calls.empty());
    EXPECT_TRUE(throughput_of(ShownSeries(), run.steps).quiet.empty());
}

TEST(Throughput, ACallThatTakesLongIsInEachOfItsRows) {
    ShownRun run = run_with_calls(100, {10});
    run.steps[0].end_ns = 50e6;
    run.steps.push_back(run.steps[0]);  // a short one inside of it, on another track
    run.steps[1].begin_ns = 20e6;
    run.steps[1].end_ns = 20.5e6;
    const Throughput throughput = throughput_of(run.series[0], run.steps);
    EXPECT_GT(throughput.beside_calls.size(), 15u);
}

TEST(Ratio, IsNoneWithoutABase) {
    EXPECT_FALSE(ratio_of({}, {1}));
    EXPECT_FALSE(ratio_of({1}, {}));
    EXPECT_FALSE(ratio_of({0, 0, 0}, {1, 1, 1}));
    EXPECT_FALSE(ratio_of({1, 2}, {1, 2})->interval);
    EXPECT_FALSE(ratio_of({0, 1, 1}, {1, 1, 1})->interval);
}

TEST(Latencies, ArePercentilesOfTheHistogram) {
    const JsonObject workload = {
        {"histogram",
         {{"upto_ns", {10, 20, 30, 40}}, {"quiet", {989, 10, 1, 0}}, {"beside_calls", {0, 0, 0, 2}}}}};
    const auto quiet = latencies_of(workload, "quiet"), beside = latencies_of(workload, "beside_calls");
    ASSERT_TRUE(quiet && beside);
    EXPECT_EQ(quiet->n, 1000);
    EXPECT_EQ(quiet->p50, 10);
    EXPECT_EQ(quiet->p99, 20);
    EXPECT_EQ(quiet->p99_9, 20);
    EXPECT_EQ(quiet->max, 30);
    EXPECT_EQ(beside->p50, 40);
    EXPECT_FALSE(latencies_of(JsonObject::object(), "quiet"));
}

TEST(Kinds, AreCallsOfOneVerbAndSize) {
    ShownRun run = run_with_calls(100, {1, 2, 3});
    run.steps[1].bytes = 8192;
    run.steps[2].ok = false;
    run.steps.emplace_back().call = "touch";
    const std::vector<CallKind> kinds = kinds_of(run.steps);
    ASSERT_EQ(kinds.size(), 2u);
    EXPECT_EQ(kinds[0].call_ns.size(), 1u);
    EXPECT_EQ(kinds[1].bytes, 8192);
}

}  // namespace
}  // namespace gpremap
