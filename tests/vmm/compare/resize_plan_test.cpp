#include "vmm/compare/resize_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gpremap {
namespace {

using testing::ElementsAre;

constexpr uint64_t MiB = 1ull << 20;

Schedule schedule_of(const char* steps) {
    const std::string map = "[[step]]\nmap = { name = 'ram', size = '8MiB' }\n";
    return gpremap::schedule_of(parse_scenario(map + steps, "s.toml"), "", {Way::gpremap});
}

TEST(ResizePlan, IsWhatTheTimelineResizes) {
    const Schedule schedule = schedule_of(R"(
[[step]]
repeat = { times = 2, steps = [
    { inflate = { range = "ram", from = "8MiB", to = "2MiB", seconds = 9, steps = 2 } },
    { grow = { range = "ram", new_size = "8MiB" } },
] }
)");
    EXPECT_EQ(schedule.initial, 8 * MiB);
    EXPECT_THAT(schedule.resizings, ElementsAre(Resizing{8 * MiB, 5 * MiB}, Resizing{5 * MiB, 2 * MiB},
                                                Resizing{2 * MiB, 8 * MiB}, Resizing{8 * MiB, 5 * MiB},
                                                Resizing{5 * MiB, 2 * MiB}, Resizing{2 * MiB, 8 * MiB}));
    EXPECT_EQ(schedule.calls[0].number, abi::Call::shrink);
    EXPECT_EQ(schedule.calls[2].number, abi::Call::grow);
}

// As a run does it: from the size that the range has, and not first to the one that the schedule begins with.
TEST(ResizePlan, AScheduleThatBeginsElsewhere) {
    const Schedule schedule = schedule_of(
        "[[step]]\ninflate = { range = 'ram', from = '2MiB', to = '6MiB', seconds = 0, steps = 2 }\n");
    EXPECT_THAT(schedule.resizings, ElementsAre(Resizing{8 * MiB, 4 * MiB}, Resizing{4 * MiB, 6 * MiB}));
}

}  // namespace
}  // namespace gpremap
