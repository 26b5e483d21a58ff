#include "vmm/base/spread.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace gpremap {
namespace {

using Samples = std::vector<uint64_t>;

TEST(Spread, OfOddCountsHasTheOneInTheMiddle) {
    EXPECT_EQ(spread_of(Samples{7}).median, 7u);
    EXPECT_EQ(spread_of(Samples{30, 10, 11}).median, 11u);
}

TEST(Spread, OfEvenCountsHasTheMeanOfTheTwoInTheMiddle) {
    EXPECT_EQ(spread_of(Samples{20, 10}).median, 15u);
    EXPECT_EQ(spread_of(Samples{400, 10, 20, 1}).median, 15u);
    EXPECT_EQ(spread_of(Samples{10, 11}).median, 10u);
    EXPECT_EQ(spread_of(std::vector<double>{-3, 10, 2, -40}).median, -0.5);
}

TEST(Spread, DoesNotOverflow) {
    constexpr uint64_t most = std::numeric_limits<uint64_t>::max();
    EXPECT_EQ(spread_of(Samples{most, most - 2}).median, most - 1);
}

TEST(Spread, OfFewHasTheLargestAsP99) {
    const Spread<uint64_t> few = spread_of(Samples{5, 9, 1});
    EXPECT_EQ(few.p99, 9u);
    EXPECT_EQ(few.min, 1u);
    EXPECT_EQ(few.max, 9u);
    Samples many;
    for (uint64_t sample = 0; sample < 200; sample++) many.push_back(sample);
    EXPECT_EQ(spread_of(many).p99, 197u);
    EXPECT_EQ(spread_of(many).max, 199u);
}

}  // namespace
}  // namespace gpremap
