#include "vmm/report/statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "vmm/report/table.h"

namespace gpremap {
namespace {

StepResult turn(size_t row, size_t index, uint64_t ns, size_t turns = 1) {
    StepResult step;
    step.row = row;
    step.index = index;
    step.turns = turns;
    step.call = "grow";
    step.arguments = "heap new_size=8MiB";
    step.record.emplace().call_ns = ns;
    step.guest_ns = 10 * ns;
    return step;
}

TEST(Statistics, AreOfEachStep) {
    StepResult touch = turn(1, 1, 0), sleep = turn(3, 7, 0), failed = turn(0, 6, 1'000'000);
    touch.record.reset();
    touch.guest_ns = 7;
    sleep.record.reset();
    failed.ok = false;
    const auto all = statistics_of(
        {turn(0, 0, 100), touch, turn(0, 2, 300), turn(0, 3, 200), turn(0, 4, 600), failed, sleep});
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].call, "grow");
    EXPECT_EQ(all[0].arguments, "heap new_size=8MiB");
    EXPECT_EQ(all[0].n, 4u) << "what has failed does not count";
    EXPECT_EQ(all[0].call_ns->median, 250u) << "the mean of the middle two";
    EXPECT_EQ(all[0].guest_ns->p99, 6000u);
    EXPECT_FALSE(all[1].call_ns);
    EXPECT_EQ(json_of(all[1]).dump(),
              R"({"call":"grow","arguments":"heap new_size=8MiB","n":1,"call_ns":null,)"
              R"("guest_ns":{"median":7,"p99":7,"min":7,"max":7}})");
}

std::string table_of(const std::vector<StepResult>& steps, size_t width = 110) {
    std::ostringstream out;
    StepTable table(out, Colour::none, width);
    for (const StepResult& step : steps) table.print(step);
    table.print_unfinished();
    const std::string text = out.str();
    return text.substr(text.find('\n', text.find("---")) + 1);
}

TEST(StepTable, HasOneRowForManyTurns) {
    std::vector<StepResult> steps;
    for (size_t i = 0; i < 60; i++) steps.push_back(turn(0, i, 1000 * (i + 1), 60));
    const std::string wide = table_of(steps, 220);
    EXPECT_EQ(std::count(wide.begin(), wide.end(), '\n'), 1) << wide;
    EXPECT_NE(wide.find("60 times; call us: median 30.5, p99 60.0, min 1.0, max 60.0; "
                        "guest us: median 305.0, p99 600.0, min 10.0, max 600.0\n"),
              std::string::npos)
        << wide;
    const std::string narrow = table_of(steps);
    EXPECT_NE(narrow.find("60 times; call us: median 30.5, p99 60.0, min 1.0, max 60.0;"), std::string::npos)
        << narrow;
}

TEST(StepTable, HasARowForEachOfAFewTurns) {
    std::vector<StepResult> steps;
    for (size_t i = 0; i < 4; i++) steps.push_back(turn(0, i, 1000, 4));
    const std::string text = table_of(steps);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4) << text;
}

TEST(StepTable, PrintsTurnsThatFail) {
    std::vector<StepResult> steps;
    for (size_t i = 0; i < 20; i++) steps.push_back(turn(0, i, 1000, 20));
    for (size_t i = 5; i < 12; i++) {
        steps[i].ok = false;
        steps[i].problem = "s.toml:3: too slow";
    }
    const std::string text = table_of(steps);
    size_t told = 0;
    for (size_t at = text.find("too slow"); at != std::string::npos; at = text.find("too slow", at + 1))
        told++;
    EXPECT_EQ(told, 4u) << text;
    EXPECT_NE(text.find("13 times, 7 FAILED; call us"), std::string::npos) << text;
    EXPECT_NE(text.find("    FAILED and 3 more of its turns\n"), std::string::npos) << text;
}

TEST(StepTable, PrintsWhatAnInterruptionLeaves) {
    std::vector<StepResult> steps;
    for (size_t i = 0; i < 7; i++) steps.push_back(turn(0, i, 1000, 1000));
    EXPECT_NE(table_of(steps).find("7 times; call us"), std::string::npos);
}

}  // namespace
}  // namespace gpremap
