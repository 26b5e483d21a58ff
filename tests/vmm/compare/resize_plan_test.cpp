#include "vmm/compare/resize_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/base/errors.h"

namespace gpremap {
namespace {

using testing::ElementsAre;

constexpr uint64_t MiB = 1ull << 20;

Schedule schedule_of(const char* steps, const std::vector<Way>& ways = {Way::gpremap}) {
    const std::string map = "[[step]]\nmap = { name = 'ram', size = '8MiB' }\n";
    return gpremap::schedule_of(parse_scenario(map + steps, "s.toml"), "", ways);
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

TEST(ResizePlan, RamComesInMemoryBlocks) {
    constexpr const char* grow =
        "[[step]]\nmap = { name = 'ram', size = '8MiB' }\n[[step]]\ngrow = { range = 'ram', new_size = "
        "'136MiB' }\n";
    const std::vector<Way> ways = {Way::gpremap_linux};
    EXPECT_NO_THROW(gpremap::schedule_of(parse_scenario(grow, "s.toml"), "", ways));
    try {
        schedule_of("[[step]]\ngrow = { range = 'ram', new_size = '64MiB' }\n", ways);
        FAIL() << "nothing was thrown";
    } catch (const ConfigError& error) {
        EXPECT_STREQ(
            error.what(),
            "s.toml: gpremap-linux resizes by multiples of 128 MiB; the schedule asks for 8 MiB to 64 MiB");
    }
    const std::string large = std::string("[vm]\ngranule = '1GiB'\nbacking = 'hugetlb-1G'\n") +
                              "[[step]]\nmap = { name = 'ram', size = '1GiB' }\n" +
                              "[[step]]\ngrow = { range = 'ram', new_size = '2GiB' }\n";
    EXPECT_NO_THROW(gpremap::schedule_of(parse_scenario(large, "s.toml"), "", ways));
}

}  // namespace
}  // namespace gpremap
