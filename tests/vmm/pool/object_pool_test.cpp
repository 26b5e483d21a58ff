// The warm pool of pages of the backing object, on the host's own memory, without a VM.
#include "vmm/memory/object_pool.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

namespace gpremap {
namespace {

using remap::ObjectRange;
using remap::Offset;
using remap::Size;

constexpr uint64_t huge = 2ull << 20;
constexpr uint64_t capacity = 8 * huge;
constexpr uint64_t page = 4096;

ObjectRange bytes(uint64_t offset, uint64_t size) {
    return ObjectRange::of(Offset{offset}, Size{size});
}

class ObjectPoolTest : public testing::Test {
  protected:
    // Pages of the object with `letter` in every byte, as a guest leaves them.
    void use(const ObjectRange& pages, char letter) {
        const std::vector<char> written(pages.size().bytes, letter);
        ASSERT_EQ(
            pwrite(object_.fd(), written.data(), written.size(), static_cast<off_t>(pages.start().value)),
            static_cast<ssize_t>(written.size()));
    }
    bool all_are(const ObjectRange& pages, char letter) const {
        std::vector<char> read(pages.size().bytes, '?');
        EXPECT_EQ(pread(object_.fd(), read.data(), read.size(), static_cast<off_t>(pages.start().value)),
                  static_cast<ssize_t>(read.size()));
        return std::ranges::all_of(read, [letter](char each) { return each == letter; });
    }
    // What the pool had at the beginning, in use from now on.
    static ObjectRange drain(ObjectPool& pool) {
        const auto offer = pool.offer();
        EXPECT_EQ(offer.ready.size(), 1u);
        pool.take(offer.ready.at(0));
        pool.settle();
        pool.reset_counts();
        return offer.ready.at(0);
    }
    static std::vector<ObjectRange> wait_until_clean(ObjectPool& pool, uint64_t ready) {
        const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(250);
        while ((pool.unclean() > 0 || pool.ready() < ready) && std::chrono::steady_clock::now() < late)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        EXPECT_GE(pool.ready(), ready);
        return pool.offer().ready;
    }

    HostCalls calls_;
    BackingObject object_{Backing::memfd};
};

TEST_F(ObjectPoolTest, IsFullOfZeroesBehindTheOffsetsOfTheStore) {
    ObjectPool pool(object_, capacity, huge, PoolCleaner::absent);
    EXPECT_EQ(pool.ready(), capacity);
    EXPECT_EQ(pool.resident_bytes(), capacity);
    EXPECT_EQ(object_.allocated(), capacity);
    EXPECT_EQ(pool.allocated_elsewhere(), 0u);
    const auto offer = pool.offer();
    ASSERT_EQ(offer.ready.size(), 1u);
    EXPECT_GE(offer.ready[0].start().value, BackingObject::offsets_of_store);
    EXPECT_EQ(offer.unit.bytes, huge);
    EXPECT_EQ(offer.room.bytes, 0u);
    EXPECT_TRUE(all_are(offer.ready[0], 0));
}

TEST_F(ObjectPoolTest, WhatIsTakenIsTheGuests) {
    ObjectPool pool(object_, capacity, huge, PoolCleaner::absent);
    const ObjectRange all = pool.offer().ready.at(0);
    pool.take(ObjectRange::of(all.start(), Size{3 * huge}));
    EXPECT_EQ(pool.counts().taken, 3 * huge);
    EXPECT_EQ(pool.ready(), capacity - 3 * huge);
    EXPECT_EQ(pool.allocated_elsewhere(), 3 * huge);
    EXPECT_EQ(pool.offer().ready.at(0).start(), all.start().advanced(Size{3 * huge}));
    pool.take(bytes(0, huge));  // which nobody has offered
    EXPECT_EQ(pool.counts().taken, 3 * huge);
}

TEST_F(ObjectPoolTest, KeepsWholeHugePagesAndNoMoreThanHasRoom) {
    ObjectPool pool(object_, capacity, huge, PoolCleaner::absent);
    const ObjectRange all = pool.offer().ready.at(0);
    pool.take(ObjectRange::of(all.start(), Size{2 * huge}));
    pool.settle();
    pool.reset_counts();
    use(bytes(0, 6 * huge), 'x');
    ASSERT_EQ(pool.free(calls_, bytes(page, 5 * huge)), 0);
    EXPECT_EQ(pool.counts().given, 2 * huge);
    pool.settle();
    EXPECT_EQ(pool.unclean(), 2 * huge);
    EXPECT_TRUE(all_are(bytes(0, page), 'x'));
    EXPECT_TRUE(all_are(bytes(page, huge - page), 0));
    EXPECT_TRUE(all_are(bytes(huge, 2 * huge), 'x')) << "kept as it was";
    EXPECT_TRUE(all_are(bytes(3 * huge, 2 * huge + page), 0));
    EXPECT_TRUE(all_are(bytes(5 * huge + page, huge - page), 'x'));
}

TEST_F(ObjectPoolTest, WhatWasFreedIsNotOfferedBeforeItIsZeroed) {
    ObjectPool pool(object_, capacity, huge, PoolCleaner::absent);
    drain(pool);
    use(bytes(0, 4 * huge), 'x');
    ASSERT_EQ(pool.free(calls_, bytes(0, 4 * huge)), 0);
    EXPECT_TRUE(pool.offer().ready.empty());
    pool.settle();
    EXPECT_TRUE(pool.offer().ready.empty());
    EXPECT_EQ(pool.offer().room.bytes, capacity - 4 * huge);
}

TEST_F(ObjectPoolTest, IsAsItWasWhereTheCallComesToNothing) {
    ObjectPool pool(object_, capacity, huge, PoolCleaner::absent);
    drain(pool);
    use(bytes(0, 4 * huge), 'x');
    ASSERT_EQ(pool.free(calls_, bytes(0, 4 * huge)), 0);
    pool.take_back(calls_);
    pool.settle();
    EXPECT_EQ(pool.counts().given, 0u);
    EXPECT_EQ(pool.unclean(), 0u);
    EXPECT_EQ(pool.room(), capacity);
    EXPECT_TRUE(all_are(bytes(0, 4 * huge), 'x'));
}

TEST_F(ObjectPoolTest, AHostThatRefusesLeavesEverythingAsItWas) {
    ObjectPool pool(object_, capacity, huge, PoolCleaner::absent);
    drain(pool);
    use(bytes(0, 5 * huge), 'x');
    for (const ObjectRange& pages :
         {bytes(page, 4 * huge), bytes(page, 4 * huge - page), bytes(0, 4 * huge + page)}) {
        calls_.fail_call(0);
        EXPECT_EQ(pool.free(calls_, pages), ENOMEM);
        EXPECT_EQ(pool.counts().given, 0u);
        EXPECT_EQ(pool.room(), capacity);
        EXPECT_TRUE(all_are(bytes(0, 5 * huge), 'x'));
    }
    // The second one must not fail: the first has given something back.
    calls_.fail_call(1);
    EXPECT_EQ(pool.free(calls_, bytes(page, 4 * huge)), 0);
    EXPECT_TRUE(all_are(bytes(4 * huge, page), 0));
}

// What is all there, of small pages with holes, and not there at all.
TEST_F(ObjectPoolTest, ZeroesWhateverIsFreed) {
    ObjectPool pool(object_, capacity, huge, PoolCleaner::runs);
    const ObjectRange first = drain(pool);
    use(first, 'x');
    ASSERT_EQ(pool.free(calls_, ObjectRange::of(first.start(), Size{2 * huge})), 0);
    pool.settle();
    use(bytes(3 * page, huge), 'y');
    ASSERT_EQ(pool.free(calls_, bytes(0, 4 * huge)), 0);
    pool.settle();
    for (const ObjectRange& ready : wait_until_clean(pool, 6 * huge)) {
        EXPECT_TRUE(all_are(ready, 0));
        EXPECT_EQ(ready.size().bytes % huge, 0u);
    }
    EXPECT_TRUE(all_are(ObjectRange::between(first.start().advanced(Size{2 * huge}), first.end()), 'x'));
}

TEST_F(ObjectPoolTest, RefillsWhatWasTaken) {
    ObjectPool pool(object_, 2 * huge, huge, PoolCleaner::runs);
    const ObjectRange first = drain(pool);
    use(first, 'x');
    for (const ObjectRange& ready : wait_until_clean(pool, 2 * huge)) {
        EXPECT_FALSE(ready.overlaps(first));
        EXPECT_TRUE(all_are(ready, 0));
    }
    EXPECT_EQ(pool.resident_bytes(), 2 * huge);
    EXPECT_TRUE(all_are(first, 'x'));
}

// Takes, writes and frees while the cleaners zero, whatever they have got to: what is offered reads zero, and nobody
// zeroes what is in use.
TEST_F(ObjectPoolTest, NeverOffersOldBytesNorTouchesWhatIsInUse) {
    ObjectPool pool(object_, capacity, huge, PoolCleaner::runs);
    uint64_t taken = 0;
    for (uint64_t round = 0; round < 50 || taken == 0; round++) {
        std::vector<ObjectRange> in_use;
        for (const ObjectRange& ready : pool.offer().ready) {
            const uint64_t size = std::min(ready.size().bytes, (1 + round % 3) * huge);
            in_use.push_back(ObjectRange::of(ready.start(), Size{size}));
            pool.take(in_use.back());
            ASSERT_TRUE(all_are(in_use.back(), 0)) << "round " << round;
            use(in_use.back(), 'o');
            taken += size;
        }
        pool.settle();
        for (const ObjectRange& pages : in_use) {
            ASSERT_TRUE(all_are(pages, 'o')) << "round " << round;
            ASSERT_EQ(pool.free(calls_, pages), 0);
        }
        pool.settle();
    }
    EXPECT_LE(pool.ready() + pool.unclean(), capacity);
}

}  // namespace
}  // namespace gpremap
