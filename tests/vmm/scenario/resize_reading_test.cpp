#include "vmm/scenario/resize_reading.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "vmm/base/errors.h"
#include "vmm/scenario/reading.h"
#include "vmm/scenario/timeline.h"

namespace gpremap {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr uint64_t MiB = 1ull << 20;

// A folder with a trace in it, beside which the scenario stands.
class ResizeTest : public testing::Test {
  protected:
    void SetUp() override {
        folder_ = std::filesystem::temp_directory_path() /
                  fmt::format("resize-{}", testing::UnitTest::GetInstance()->current_test_info()->name());
        std::filesystem::create_directories(folder_);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    Scenario with_resize(std::string_view resize) const {
        return parse_scenario(
            fmt::format("[[step]]\nmap = {{ name = 'heap', size = '8MiB' }}\n[[step]]\nresize = {{ "
                        "range = 'heap', {} }}\n",
                        resize),
            folder_ / "s.toml");
    }

    std::string error_of(std::string_view resize) const {
        try {
            with_resize(resize);
        } catch (const ConfigError& error) {
            return error.what();
        }
        return "no error";
    }

    // Of the orders after the map.
    std::vector<uint64_t> sizes_of(const Scenario& scenario) const {
        std::vector<uint64_t> sizes;
        for (const Order& order : timeline_of(scenario.steps, scenario.machine.memory.granule))
            if (order.number > 0) sizes.push_back(order.size / MiB);
        return sizes;
    }

    std::string trace(std::string_view text) const {
        std::ofstream(folder_ / "t.csv") << text;
        return "trace = 't.csv'";
    }

    std::string error_of_trace(std::string_view text) const { return error_of(trace(text)); }

    std::filesystem::path folder_;
};

TEST_F(ResizeTest, FollowsATrace) {
    const Scenario scenario = with_resize(
        trace("seconds,size\n# the night\n0, 16MiB\r\n\n0.5,4 MiB # less\n2e0,4MiB\n3,33554432\n"));
    EXPECT_THAT(sizes_of(scenario), ElementsAre(16, 4, 32));
    const auto orders = timeline_of(scenario.steps, scenario.machine.memory.granule);
    EXPECT_EQ(orders[2].due, 0.5);
    EXPECT_EQ(orders[3].due, 3);
}

TEST_F(ResizeTest, ATracesMistakesAreOfItsLines) {
    const std::string file = (folder_ / "t.csv").string();
    EXPECT_THAT(error_of_trace("0,4MiB\n1,\n"), HasSubstr(file + ":2: the size is missing"));
    EXPECT_THAT(error_of_trace("0,4MiB\n1\n"), HasSubstr(file + ":2: the size is missing"));
    EXPECT_THAT(error_of_trace("seconds,size\n,4MiB\n"), HasSubstr(file + ":2: the time is missing"));
    EXPECT_THAT(error_of_trace("1,4MiB\n# no\n0.5,8MiB\n"),
                HasSubstr(file + ":3: time goes back: 0.5 s stands behind 1 s"));
    EXPECT_THAT(error_of_trace("0,much\n"), HasSubstr(file + ":1: expected a size such as"));
    EXPECT_THAT(error_of_trace("0,0\n"), HasSubstr(file + ":1: a range cannot be resized to nothing"));
    EXPECT_THAT(error_of_trace("now,4MiB\n"),
                AllOf(HasSubstr(file + ":1: expected seconds such as 0.5"), Not(HasSubstr("now"))));
    EXPECT_THAT(error_of_trace("-1,4MiB\n"), HasSubstr(file + ":1: expected seconds"));
    EXPECT_THAT(error_of_trace("nan,4MiB\n"), HasSubstr(file + ":1: expected seconds"));
    EXPECT_THAT(error_of_trace("seconds,size\nseconds,size\n"), HasSubstr(file + ":2: expected seconds"));
    EXPECT_THAT(error_of_trace("# nothing\n"), HasSubstr("expected lines of a time and a size"));
    EXPECT_THAT(error_of_trace("0,4MiB\n1,5000\n"),
                HasSubstr(file + ":2: a schedule goes from and to multiples of the granule"));
    EXPECT_THAT(error_of("trace = 'not-there.csv'"), HasSubstr("s.toml:4: key 'step[1].resize.trace'"));
}

TEST_F(ResizeTest, ARampIsAnInflate) {
    EXPECT_THAT(sizes_of(with_resize("ramp = { from = '4MiB', to = '16MiB', seconds = 6, steps = 3 }")),
                ElementsAre(8, 12, 16));
}

TEST_F(ResizeTest, ASineGoesThereAndBack) {
    EXPECT_THAT(sizes_of(with_resize("sine = { from = '4MiB', to = '16MiB', seconds = 1, steps = 4 }")),
                ElementsAre(10, 16, 10, 4));
    EXPECT_THAT(
        sizes_of(with_resize("sine = { from = '4MiB', to = '16MiB', seconds = 1, steps = 4, periods = 2 }")),
        ElementsAre(16, 4, 16, 4));
}

TEST_F(ResizeTest, RandomSizesFollowFromTheirSeed) {
    auto sizes = [&](int seed) {
        return sizes_of(with_resize(fmt::format(
            "random = {{ from = '4MiB', to = '64MiB', seconds = 1, steps = 50, seed = {} }}", seed)));
    };
    EXPECT_EQ(sizes(7), sizes(7));
    EXPECT_NE(sizes(7), sizes(8));
    const auto all = sizes(7);
    EXPECT_GE(*std::ranges::min_element(all), 4u);
    EXPECT_LE(*std::ranges::max_element(all), 64u);
    EXPECT_LT(*std::ranges::min_element(all), 16u);
    EXPECT_GT(*std::ranges::max_element(all), 48u);
}

TEST_F(ResizeTest, SaysItsSizesOnce) {
    EXPECT_THAT(error_of("trace2 = 1"),
                HasSubstr("unknown key; known here: range, trace, ramp, sine, random"));
    EXPECT_THAT(
        error_of(trace("0,4MiB\n") + ", ramp = { from = '4MiB', to = '8MiB', seconds = 0, steps = 1 }"),
        HasSubstr("the sizes are stated already"));
    EXPECT_THAT(error_of("random = { from = '4MiB', to = '8MiB', seconds = 0, steps = 1 }"),
                HasSubstr("random.seed': missing"));
    EXPECT_THAT(error_of("ramp = { from = 0, to = '8MiB', seconds = 0, steps = 1 }"),
                HasSubstr("a range cannot be resized from or to nothing"));
}

}  // namespace
}  // namespace gpremap
