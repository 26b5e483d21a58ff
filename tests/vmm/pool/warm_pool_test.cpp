// The warm pool on the host's own memory, without a VM.
#include "vmm/memory/warm_pool.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <span>
#include <thread>

namespace gpremap {
namespace {

constexpr uint64_t huge = 2ull << 20;
constexpr uint64_t capacity = 8 * huge;

class WarmPoolTest : public testing::Test {
  protected:
    // Memory with `letter` in every byte, as a guest leaves it.
    std::byte* used(uint64_t index, uint64_t size, int letter) {
        std::byte* at = place(index);
        EXPECT_EQ(calls_.map(at, size, PROT_READ | PROT_WRITE, fixed_, -1, 0), 0);
        EXPECT_EQ(madvise(at, size, MADV_HUGEPAGE), 0);
        memset(at, letter, size);
        return at;
    }
    std::byte* place(uint64_t index) { return reservation_.window() + index * 16 * huge; }

    static bool all_are(const std::byte* at, uint64_t size, int letter) {
        return std::all_of(at, at + size, [&](std::byte each) { return each == std::byte(letter); });
    }

    // Until the cleaner has nothing left to do. No bound: the test's own timeout is one.
    static void wait_until_clean(const WarmPool& pool, uint64_t ready) {
        while (pool.unclean() > 0 || pool.ready() < ready)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }

    // Empties the pool into a place of its own.
    void drain(WarmPool& pool) {
        while (pool.take(calls_, place(7), capacity) > 0) pool.settle();
    }

    static constexpr int fixed_ = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    HostCalls calls_;
    Reservation reservation_{1ull << 30};
};

TEST_F(WarmPoolTest, IsFullOfZeroesFromTheStart) {
    WarmPool pool(capacity, PoolCleaner::absent);
    EXPECT_EQ(pool.ready(), capacity);
    EXPECT_EQ(pool.resident_bytes(), capacity);
    EXPECT_EQ(pool.take(calls_, place(0), 3 * huge), 3 * huge);
    EXPECT_TRUE(all_are(place(0), 3 * huge, 0));
    EXPECT_EQ(pool.ready(), capacity - 3 * huge);
    EXPECT_EQ(pool.resident_bytes(), capacity - 3 * huge);
    EXPECT_EQ(pool.counts().taken, 3 * huge);
}

TEST_F(WarmPoolTest, TakesWholeHugePagesAndNoMoreThanItHas) {
    WarmPool pool(capacity, PoolCleaner::absent);
    EXPECT_EQ(pool.take(calls_, place(0), huge - 4096), 0u);
    EXPECT_EQ(pool.take(calls_, place(0), huge + 4096), huge);
    EXPECT_EQ(pool.take(calls_, place(1), 2 * capacity), capacity - huge);
    EXPECT_EQ(pool.take(calls_, place(2), huge), 0u);
}

TEST_F(WarmPoolTest, WhatWasGivenIsNotReadyBeforeItIsZeroed) {
    WarmPool pool(capacity, PoolCleaner::absent);
    drain(pool);
    std::byte* at = used(0, 4 * huge, 'x');
    pool.give(calls_, at, 4 * huge, Leaves::hole);
    pool.settle();
    EXPECT_EQ(pool.unclean(), 4 * huge);
    EXPECT_EQ(pool.ready(), 0u);
    EXPECT_EQ(pool.take(calls_, place(1), huge), 0u);
    EXPECT_EQ(msync(at, huge, MS_ASYNC), -1) << "something is still mapped where the memory was";
}

TEST_F(WarmPoolTest, GivesWholeHugePagesAndNoMoreThanHasRoom) {
    WarmPool pool(capacity, PoolCleaner::absent);
    pool.take(calls_, place(7), 2 * huge);
    std::byte* at = used(0, 6 * huge, 'x');
    pool.give(calls_, at + 4096, 6 * huge - 4096, Leaves::zero);
    pool.settle();
    EXPECT_EQ(pool.unclean(), 2 * huge);
    EXPECT_TRUE(all_are(at, huge, 'x'));
    EXPECT_TRUE(all_are(at + huge, 2 * huge, 0));
    EXPECT_TRUE(all_are(at + 3 * huge, 3 * huge, 'x'));
}

TEST_F(WarmPoolTest, GoesBackAsItWas) {
    WarmPool pool(capacity, PoolCleaner::absent);
    drain(pool);
    pool.reset_counts();
    std::byte *first = used(0, 2 * huge, 'a'), *second = used(1, 2 * huge, 'b');
    pool.give(calls_, first, 2 * huge, Leaves::hole);
    pool.give(calls_, second, 2 * huge, Leaves::zero);
    pool.take_back(calls_);
    pool.settle();
    EXPECT_TRUE(all_are(first, 2 * huge, 'a'));
    EXPECT_TRUE(all_are(second, 2 * huge, 'b'));
    EXPECT_EQ(pool.unclean(), 0u);
    EXPECT_EQ(pool.counts().given, 0u);
}

TEST_F(WarmPoolTest, AHostThatRefusesLeavesEverythingAsItWas) {
    WarmPool pool(capacity, PoolCleaner::absent);
    std::byte* at = used(0, 2 * huge, 'x');
    calls_.fail_call(0);
    EXPECT_EQ(pool.take(calls_, at, 2 * huge), 0u);
    drain(pool);
    calls_.fail_call(0);
    pool.give(calls_, at, 2 * huge, Leaves::hole);
    pool.settle();
    EXPECT_TRUE(all_are(at, 2 * huge, 'x'));
    EXPECT_EQ(pool.unclean(), 0u);
    pool.give(calls_, at, 2 * huge, Leaves::hole);
    pool.settle();
    EXPECT_EQ(pool.unclean(), 2 * huge);
}

// Read-only, without access, of small pages, and with nothing in it yet.
TEST_F(WarmPoolTest, ZeroesWhateverIsGiven) {
    WarmPool pool(capacity, PoolCleaner::runs);
    drain(pool);
    std::byte* at = used(0, 8 * huge, 'x');
    ASSERT_EQ(mprotect(at, 2 * huge, PROT_READ), 0);
    ASSERT_EQ(mprotect(at + 2 * huge, 2 * huge, PROT_NONE), 0);
    ASSERT_EQ(madvise(at + 4 * huge + 4096, 4096, MADV_DONTNEED), 0);
    ASSERT_EQ(madvise(at + 6 * huge, 2 * huge, MADV_DONTNEED), 0);
    for (uint64_t part = 0; part < 4; part++) {
        pool.give(calls_, at + part * 2 * huge, 2 * huge, Leaves::hole);
        pool.settle();
    }
    wait_until_clean(pool, capacity);
    ASSERT_EQ(pool.take(calls_, place(1), capacity), capacity);
    EXPECT_TRUE(all_are(place(1), capacity, 0));
    // Writable, too.
    memset(place(1), 'y', capacity);
}

TEST_F(WarmPoolTest, RefillsWhatWasTaken) {
    WarmPool pool(capacity, PoolCleaner::runs);
    ASSERT_EQ(pool.take(calls_, place(0), 5 * huge), 5 * huge);
    pool.settle();
    wait_until_clean(pool, capacity);
    EXPECT_EQ(pool.resident_bytes(), capacity);
    uint64_t done = 0;
    while (uint64_t some = pool.take(calls_, place(1) + done, capacity - done)) done += some;
    EXPECT_EQ(done, capacity);
    EXPECT_TRUE(all_are(place(1), capacity, 0));
}

// Just when the cleaner has ended a refill, a second and more after the last call. What a call takes will be
// given back: a refill in between would take its room.
TEST_F(WarmPoolTest, DoesNotRefillBehindACallThatHasTakenAndNotEnded) {
    WarmPool pool(capacity, PoolCleaner::runs);
    for (int round = 0; round < 3; round++) {
        ASSERT_EQ(pool.take(calls_, place(0), capacity), capacity);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        EXPECT_EQ(pool.ready() + pool.unclean(), 0u) << "round " << round;
        pool.settle();
        wait_until_clean(pool, capacity);
    }
}

// Takes and gives while the cleaner zeroes: whatever it has got to.
TEST_F(WarmPoolTest, NeverHandsOutOldBytes) {
    WarmPool pool(capacity, PoolCleaner::runs);
    uint64_t taken = 0, round = 0;
    for (; round < 400 || taken == 0; round++) {
        uint64_t size = (1 + round % 5) * huge;
        std::byte* at = place(round % 4);
        uint64_t warm = pool.take(calls_, at, size);
        ASSERT_TRUE(all_are(at, warm, 0)) << "round " << round;
        if (warm > 0) memset(at, 'o', warm);
        pool.give(calls_, at, warm, round % 2 ? Leaves::hole : Leaves::zero);
        pool.settle();
        taken += warm;
        std::this_thread::sleep_for(
            std::chrono::microseconds(100));  // cleaners run where nothing else wants to
    }
    EXPECT_LE(pool.ready() + pool.unclean(), capacity);
}

}  // namespace
}  // namespace gpremap
