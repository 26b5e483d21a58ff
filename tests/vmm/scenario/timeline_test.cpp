#include "vmm/scenario/timeline.h"

#include <errno.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "vmm/base/errors.h"
#include "vmm/scenario/reading.h"

namespace gpremap {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr uint64_t MiB = 1ull << 20;

// After a range "heap" of 8 MiB, on lines 1 to 2.
Scenario with_heap(std::string_view rest) {
    return parse_scenario(fmt::format("[[step]]\nmap = {{ name = 'heap', size = '8MiB' }}\n{}", rest),
                          "s.toml");
}

// The orders after the map.
std::vector<Order> orders_of(const Scenario& scenario) {
    std::vector<Order> orders = timeline_of(scenario.steps, scenario.machine.memory.granule);
    orders.erase(orders.begin());
    return orders;
}

template <typename Get>
auto each(const std::vector<Order>& orders, Get get) {
    std::vector<std::decay_t<decltype(get(orders[0]))>> all;
    for (const Order& order : orders) all.push_back(get(order));
    return all;
}

std::string error_of(std::string_view rest) {
    try {
        with_heap(rest);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "no error";
}

// `depth` repeats inside of each other, twice each, around `inner`.
std::string nested(unsigned depth, const std::string& inner) {
    std::string step = inner;
    for (unsigned i = 0; i < depth; i++) step = "repeat = { times = 2, steps = [ { " + step + " } ] }";
    return "[[step]]\n" + step + "\n";
}

TEST(Timeline, RepeatsAreExpanded) {
    const Scenario scenario = with_heap(R"(
[[step]]
repeat = { times = 2, steps = [
    { sleep = 0 },
    { repeat = { times = 2, steps = [ { touch = { range = "heap" } } ] } },
] }
[[step]]
checkpoint = true
)");
    const auto orders = orders_of(scenario);
    EXPECT_THAT(each(orders, [](const Order& order) { return order.step->verb; }),
                ElementsAre("sleep", "touch", "touch", "sleep", "touch", "touch", "checkpoint"));
    EXPECT_THAT(each(orders, [](const Order& order) { return order.turn; }),
                ElementsAre(0, 0, 1, 1, 1, 2, 0));
    EXPECT_THAT(each(orders, [](const Order& order) { return order.number; }),
                ElementsAre(1, 2, 3, 4, 5, 6, 7));
    EXPECT_EQ(orders[1].step, orders[5].step) << "steps are not copied";
    EXPECT_EQ(count_steps(orders), 3u);
}

TEST(Timeline, AScheduleHasAsManyResizesAsItSays) {
    const Scenario scenario = with_heap(
        "[[step]]\ninflate = { range = 'heap', from = '4MiB', to = '16MiB', seconds = 6, steps = 3 }\n");
    const auto orders = orders_of(scenario);
    EXPECT_THAT(each(orders, [](const Order& order) { return order.size / MiB; }), ElementsAre(8, 12, 16));
    EXPECT_THAT(each(orders, [](const Order& order) { return order.due; }), ElementsAre(2.0, 4.0, 6.0));
    EXPECT_THAT(each(orders, [](const Order& order) { return order.is_first; }),
                ElementsAre(true, false, false));
    EXPECT_THAT(each(orders, [](const Order& order) { return order.is_last; }),
                ElementsAre(false, false, true));
    EXPECT_EQ(count_steps(orders), 1u);
}

TEST(Timeline, AScheduleHasNoResizesThatChangeNothing) {
    const Scenario finer = with_heap(
        "[[step]]\ninflate = { range = 'heap', from = '16KiB', to = '4KiB', seconds = 0, steps = 1000 }\n");
    const auto orders = orders_of(finer);
    EXPECT_THAT(each(orders, [](const Order& order) { return order.size; }), ElementsAre(12288, 8192, 4096));
    EXPECT_TRUE(orders.back().is_last);
    const Scenario level = with_heap(
        "[[step]]\ninflate = { range = 'heap', from = '4MiB', to = '4MiB', seconds = 0, steps = 9 }\n");
    EXPECT_THAT(orders_of(level), SizeIs(1));
}

TEST(Timeline, RepeatsAreBounded) {
    EXPECT_EQ(error_of(nested(deepest_repeat, "sleep = 0")), "no error");
    for (unsigned depth : {deepest_repeat + 1, 28u, 60u}) {
        const auto begin = std::chrono::steady_clock::now();
        const std::string error = error_of(nested(depth, "sleep = 0"));
        EXPECT_THAT(error, HasSubstr("s.toml:4: key 'step[1].repeat.steps[0].repeat"));
        EXPECT_THAT(error, HasSubstr("repeats stand inside of one another up to 16 deep"));
        EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));  // 28 deep: 14 s
    }
}

TEST(Timeline, OrdersAreBounded) {
    EXPECT_THAT(error_of("[[step]]\nrepeat = { times = 1000001, steps = [ { sleep = 0 } ] }\n"),
                HasSubstr("1000000"));
    EXPECT_THAT(
        error_of("[[step]]\nrepeat = { times = 1001, steps = [ { repeat = { times = 1000, steps = [ { "
                 "sleep = 0 } ] } } ] }\n"),
        HasSubstr("s.toml:4: key 'step[1].repeat': more than 1000000 steps when all is repeated"));
    EXPECT_THAT(
        error_of("[[step]]\nsleep = 0\n[[step]]\nrepeat = { times = 999999, steps = [ { sleep = 0 } ] "
                 "}\n"),
        HasSubstr("s.toml:6: key 'step[2].repeat': with this the scenario has more than 1000000"));
    EXPECT_THAT(error_of("[[step]]\nrepeat = { times = 2, steps = [ { inflate = { range = 'heap', from = "
                         "'4KiB', to = '8KiB', seconds = 0, steps = 600000 } } ] }\n"),
                HasSubstr("more than 1000000 steps"));
}

// Names are followed through nested repeats, and each mistake is said once.
TEST(Timeline, TheDryRunSeesASecondTurnAtEachDepth) {
    const std::string error = error_of(nested(deepest_repeat, "map = { name = 'x', size = 4096 }"));
    EXPECT_THAT(error, HasSubstr("the name 'x' is taken"));
    EXPECT_EQ(std::ranges::count(error, '\n'), 0) << error;
    EXPECT_THAT(
        error_of(
            "[[step]]\nrepeat = { times = 2, steps = [ { map = { name = 'x', size = 4096 } }, { repeat = { "
            "times = 1, steps = [ { touch = { range = 'x' } } ] } } ] }\n"),
        HasSubstr("the name 'x' is taken"));
}

TEST(Timeline, AnEmptyRepeatIsRefused) {
    EXPECT_THAT(error_of("[[step]]\nrepeat = { times = 2, steps = [] }\n"),
                HasSubstr("s.toml:4: key 'step[1].repeat.steps': expected at least one step"));
}

}  // namespace
}  // namespace gpremap
