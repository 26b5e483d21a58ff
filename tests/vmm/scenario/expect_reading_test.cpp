#include "vmm/scenario/expect_reading.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/base/errors.h"
#include "vmm/scenario/judging.h"
#include "vmm/scenario/reading.h"

namespace gpremap {
namespace {

using testing::HasSubstr;

constexpr const char* move = "move = { range = 'a', to = '64GiB' }";

ScenarioStep step(const std::string& what, const std::string& expect) {
    return parse_scenario(
               fmt::format(
                   "[[step]]\nmap = {{ name = 'a', size = '4MiB' }}\n[[step]]\n{}\nexpect = {{ {} }}\n", what,
                   expect),
               "s.toml")
        .steps.back();
}

std::string error_of(const std::string& what, const std::string& expect) {
    try {
        step(what, expect);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "no error";
}

TEST(ReadBounds, AreNumbersOrOperatorsAndAmounts) {
    const Expect expect =
        step(move,
             "copies = 0, faults = '<= 2', system_calls = '!=7', call_us = '>0.5', pool_bytes = '>=256MiB'")
            .expect;
    ASSERT_EQ(expect.bounds.size(), 5u);
    const JsonObject stated = json_of(expect, Names());
    EXPECT_EQ(
        stated.dump(),
        R"({"call_us":">0.5","system_calls":"!=7","copies":0,"faults":"<= 2","pool_bytes":">=256MiB"})");
    for (const auto& [metric, of, bound] : expect.bounds) {
        EXPECT_EQ(of, "");
        const double than = metric->name == "pool_bytes" ? 256.0 * (1 << 20) : 0.5;
        if (metric->is_bytes || metric->name == "call_us") {
            EXPECT_EQ(bound.than, than);
        }
    }
}

TEST(ReadBounds, OfAllTurnsStandInATable) {
    const Expect expect =
        step(move, "call_us = { p99 = '<500', median = 3 }, guest_us = { max = '<1e6' }").expect;
    EXPECT_EQ(json_of(expect, Names()).dump(),
              R"({"call_us":{"median":3,"p99":"<500"},"guest_us":{"max":"<1e6"}})");
}

TEST(ReadBounds, ThatCannotBeReadAreRefused) {
    for (const char* bound : {"'500'", "'<'", "'<much'", "'~3'", "true", "[1]", "{ p99 = 1 }", "'<<1'"})
        EXPECT_THAT(error_of(move, std::string("copies = ") + bound),
                    HasSubstr("s.toml:5: key 'step[1].expect.copies': expected a bound: a number, or <"))
            << bound;
    EXPECT_THAT(
        error_of(move, "call_us = { p98 = 1 }"),
        HasSubstr(
            "s.toml:5: key 'step[1].expect.call_us.p98': unknown key; known here: median, p99, min, max"));
    EXPECT_THAT(error_of(move, "call_us = {}"), HasSubstr("expected a bound of median"));
    EXPECT_THAT(error_of(move, "pages = 1"), HasSubstr("s.toml:5: key 'step[1].expect.pages': unknown key"));
}

TEST(ReadBounds, OfWhatTheStepDoesNotHaveAreRefused) {
    EXPECT_THAT(error_of("sleep = 0", "call_us = 1"),
                HasSubstr("s.toml:5: key 'step[1].expect': a 'sleep' has no `call_us`"));
    EXPECT_THAT(error_of("sleep = 0", "faults = 1"), HasSubstr("a 'sleep' has no `faults`"));
    EXPECT_THAT(error_of("sleep = 0", "huge_kept = true"), HasSubstr("a 'sleep' makes no call"));
    EXPECT_THAT(error_of("touch = { range = 'a' }", "copies = 1"), HasSubstr("a 'touch' has no `copies`"));
    EXPECT_THAT(error_of(move, "host_returned = 1"), HasSubstr("a 'move' has no `host_returned`"));
    EXPECT_EQ(error_of("touch = { range = 'a' }", "guest_us = '<1', faults = 0"), "no error");
    EXPECT_EQ(error_of("release = { range = 'a' }", "host_returned = 1"), "no error");
    EXPECT_EQ(error_of("shrink = { range = 'a', new_size = '1MiB' }", "host_returned = 1"), "no error");
    EXPECT_THAT(error_of("repeat = { times = 2, steps = [ { sleep = 0 } ] }", "call_us = 1"),
                HasSubstr("a 'repeat' has no `call_us`"));
}

StepResult moved_in(uint64_t call_ns) {
    StepResult result;
    result.record.emplace().call_ns = call_ns;
    result.record->syscalls.mremap = 2;
    return result;
}

TEST(JudgeBounds, HoldsCountsAndTimesAgainstThem) {
    const Expect expect = step(move, "call_us = '<500', system_calls = '<=2', huge_kept = true").expect;
    StepResult fast = moved_in(499'999);
    judge_bounds(expect, fast);
    EXPECT_TRUE(fast.ok) << fast.problem;
    StepResult slow = moved_in(500'000);
    slow.record->huge_kept = false;
    slow.record->syscalls.mmap = 1;
    judge_bounds(expect, slow);
    EXPECT_EQ(
        slow.problem,
        "expected huge pages to be kept, but they were split; call_us is 500, expected <500; system_calls is "
        "3, expected <=2");
}

TEST(JudgeBounds, SaysBytesAsSizes) {
    const Expect expect = step("release = { range = 'a' }", "host_returned = '>=4MiB'").expect;
    StepResult result = moved_in(1);
    result.host_returned = 1 << 20;
    judge_bounds(expect, result);
    EXPECT_EQ(result.problem, "host_returned is 1 MiB, expected >=4MiB");
}

TEST(JudgeAllTurns, TakesThemTogether) {
    const Expect expect =
        step(move, "call_us = { median = '<3', max = 10, min = '!=1' }, guest_us = '<1'").expect;
    StepResult result;
    judge_all_turns(expect, {{1, 5}, {2, 5}, {10, 5}}, result);
    EXPECT_EQ(result.problem, "call_us of 3 turns: min is 1.0, expected !=1");
    StepResult none;
    judge_all_turns(expect, {}, none);
    EXPECT_TRUE(none.ok) << "where no turn has done what it was to, that is said there";
}

}  // namespace
}  // namespace gpremap
