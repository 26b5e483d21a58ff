// Ranges, above all where the number space ends.
#include "remap/range.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace remap {
namespace {

constexpr uint64_t top = UINT64_MAX;

// A range ends at an address: the last byte of the number space can not be in one.
TEST(Range, IsMadeUpToTheTop) {
    EXPECT_TRUE(Range::make(Gpa{top - 4096}, Size{4096}));
    EXPECT_FALSE(Range::make(Gpa{top - 4096}, Size{4097}));
    EXPECT_FALSE(Range::make(Gpa{top}, Size{1}));
    EXPECT_FALSE(Range::make(Gpa{4096}, Size{top}));
    EXPECT_TRUE(Range::make(Gpa{0}, Size{top}));
    EXPECT_FALSE(Range::make(Gpa{0}, Size{0}));
}

TEST(Range, ContainsWhatLiesInIt) {
    auto last = Range::of(Gpa{top - 8}, Size{8});
    EXPECT_TRUE(last.contains(Gpa{top - 1}));
    EXPECT_FALSE(last.contains(Gpa{top}));
    EXPECT_FALSE(last.contains(Gpa{top - 9}));
    EXPECT_TRUE(last.contains(last));
    EXPECT_FALSE(last.contains(Range::of(Gpa{top - 9}, Size{9})));
    EXPECT_TRUE(Range::of(Gpa{0}, Size{top}).contains(last));
}

// Everything there is to know of two ranges, on a small space and on the same at the top.
TEST(Range, AgreesWithCounting) {
    constexpr uint64_t size = 6;
    for (uint64_t base : {uint64_t{0}, top - size})
        for (uint64_t a = 0; a < size; ++a)
            for (uint64_t a_end = a + 1; a_end <= size; ++a_end)
                for (uint64_t b = 0; b < size; ++b)
                    for (uint64_t b_end = b + 1; b_end <= size; ++b_end) {
                        auto first = Range::between(Gpa{base + a}, Gpa{base + a_end});
                        auto second = Range::between(Gpa{base + b}, Gpa{base + b_end});
                        uint64_t common = 0, low = size;
                        for (uint64_t at = 0; at < size; ++at)
                            if (at >= a && at < a_end && at >= b && at < b_end) {
                                ++common;
                                low = std::min(low, at);
                            }
                        EXPECT_EQ(first.overlaps(second), common > 0);
                        EXPECT_EQ(first.contains(second), common == b_end - b);
                        auto both = first.intersection(second);
                        ASSERT_EQ(both.has_value(), common > 0);
                        EXPECT_TRUE(!both || *both == Range::of(Gpa{base + low}, Size{common}));
                    }
}

TEST(Range, HeadAndTailMakeTheWhole) {
    auto range = Range::of(Gpa{top - 10}, Size{10});
    for (uint64_t cut = 1; cut < 10; ++cut) {
        auto tail = range.tail(Size{cut});
        ASSERT_TRUE(tail);
        EXPECT_EQ(range.head(Size{cut}).end(), tail->start());
        EXPECT_EQ(tail->end(), range.end());
    }
    EXPECT_FALSE(range.tail(range.size()));
}

TEST(Address, SaysWhereTheNumberSpaceEnds) {
    EXPECT_EQ(Gpa{top - 1}.checked_add(Size{1}), Gpa{top});
    EXPECT_FALSE(Gpa{top}.checked_add(Size{1}));
    EXPECT_FALSE(Gpa{1}.checked_add(Size{top}));
}

}  // namespace
}  // namespace remap
