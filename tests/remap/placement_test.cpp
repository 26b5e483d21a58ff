// Where results go that may go anywhere, and what that means for huge pages.
#include "remap/placement.h"

#include <gtest/gtest.h>

#include "remap/native.h"

namespace remap {
namespace {

constexpr uint64_t page = 4096, mib = uint64_t{1} << 20, gib = uint64_t{1} << 30;
constexpr uint64_t base = 4 * gib;
constexpr uint64_t read_and_write = 3;

class PlacementTest : public testing::Test {
  protected:
    void open(uint64_t size) {
        space_.emplace(Range::of(Gpa{base}, Size{size}), kib4, FreshMemory::anon, Limits{});
    }
    uint64_t map(uint64_t at, uint64_t size, uint64_t flags = 0) {
        auto plan = native::map(*space_, at, size, read_and_write, flags);
        EXPECT_TRUE(plan);
        space_ = plan->after;
        return plan->result.value;
    }
    Plan move_anywhere(uint64_t from, uint64_t size) {
        auto plan = native::move(*space_, from, 0, size, native::flag::anywhere);
        EXPECT_TRUE(plan);
        return *plan;
    }

    std::optional<Space> space_;
};

TEST_F(PlacementTest, NewMemoryBeginsWhereItsLargestPageDoes) {
    open(64 * gib);
    map(base, page);
    EXPECT_EQ(map(0, page, native::flag::anywhere), base + page);
    EXPECT_EQ(map(0, 2 * mib, native::flag::anywhere), base + 2 * mib);
    EXPECT_EQ(map(0, 3 * gib, native::flag::anywhere), base + gib);
}

TEST_F(PlacementTest, WhatMovesStaysCongruent) {
    for (uint64_t size : {2 * mib, 3 * mib + page, gib - page, gib, 3 * gib + 2 * mib})
        for (uint64_t phase : {uint64_t{0}, page, 2 * mib, 2 * mib - page, 514 * mib + page}) {
            open(64 * gib);
            map(base + phase, size);
            Plan plan = move_anywhere(base + phase, size);
            EXPECT_NE(plan.result.value, base + phase);
            EXPECT_EQ((plan.result.value - phase) % (size < gib ? 2 * mib : gib), 0u) << size << " " << phase;
            EXPECT_TRUE(plan.huge_kept);
        }
}

// 1 GiB at 4 MiB. Its next congruent place is cut by a page, and the one after that ends outside.
TEST_F(PlacementTest, WithoutRoomForWholeTablesHugePagesAreKept) {
    open(3 * gib);
    map(base + 4 * mib, gib);
    map(base + 2 * gib - page, page);
    Plan plan = move_anywhere(base + 4 * mib, gib);
    EXPECT_EQ(plan.result.value, base + 2 * gib);
    EXPECT_TRUE(plan.huge_kept);
}

// 2 MiB at 4 KiB. What is left has room for it at other distances only.
TEST_F(PlacementTest, WhereHugePagesAreSplitThePlanSaysSo) {
    open(8 * mib);
    map(base + page, 4 * mib);
    map(base + 5 * mib - page, page);
    Plan plan = move_anywhere(base + page + 2 * mib, 2 * mib);
    EXPECT_EQ(plan.result.value, base + 5 * mib);
    EXPECT_FALSE(plan.huge_kept);
}

}  // namespace
}  // namespace remap
