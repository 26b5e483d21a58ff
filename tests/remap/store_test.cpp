// Reference counts of the object's pages against an array of counters.
#include "remap/store.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

namespace remap {
namespace {

constexpr uint64_t page = 4096;
constexpr uint64_t pages = 64;

ObjectRange run(uint64_t first, uint64_t count) {
    return ObjectRange::of(Offset{first * page}, Size{count * page});
}

// The pages of `ranges` as a row of marks; each must lie inside `within`, in order.
std::array<bool, pages> marked(const std::vector<ObjectRange>& ranges) {
    std::array<bool, pages> marks{};
    for (const ObjectRange& range : ranges)
        for (uint64_t at = range.start().value / page; at < range.end().value / page; ++at) marks[at] = true;
    return marks;
}

TEST(Store, AgreesWithCounters) {
    std::mt19937_64 random(1);
    Store store;
    std::array<uint64_t, pages> views{};
    for (int turn = 0; turn < 20000; ++turn) {
        uint64_t first = random() % pages, count = 1 + random() % std::min(uint64_t{12}, pages - first);
        bool can_drop = true;
        for (uint64_t at = first; at < first + count; ++at) can_drop = can_drop && views[at] > 0;
        bool drop = can_drop && random() % 2;
        drop ? store.drop_view(run(first, count)) : store.add_view(run(first, count));
        for (uint64_t at = first; at < first + count; ++at) drop ? --views[at] : ++views[at];

        uint64_t used = 0;
        std::array<bool, pages> exclusive{}, unused{};
        for (uint64_t at = 0; at < pages; ++at) {
            ASSERT_EQ(store.views(Offset{at * page}), views[at]);
            used += views[at] > 0;
            bool in_run = at >= first && at < first + count;
            exclusive[at] = in_run && views[at] == 1;
            unused[at] = in_run && views[at] == 0;
        }
        ASSERT_EQ(store.used().bytes, used * page);
        ASSERT_EQ(marked(store.exclusive(run(first, count))), exclusive);
        ASSERT_EQ(marked(store.unused(run(first, count))), unused);
    }
}

TEST(Store, HandsOutOffsetsOnceAndCongruent) {
    Store store;
    Offset reached{0};
    std::mt19937_64 random(2);
    for (int turn = 0; turn < 1000; ++turn) {
        Size size{(1 + random() % 700) * page}, modulus = random() % 2 ? mib2 : kib4;
        uint64_t phase = random() % 100000 * page;
        auto range = store.allocate(size, modulus, phase);
        ASSERT_TRUE(range);
        EXPECT_GE(range->start(), reached);
        EXPECT_TRUE(range->start().is_congruent_to(phase, modulus));
        EXPECT_EQ(range->size(), size);
        reached = range->end();
    }
}

TEST(Store, EndsWhereTheObjectDoes) {
    Store store;
    constexpr uint64_t object = uint64_t{1} << 62;
    EXPECT_FALSE(store.allocate(Size{object + page}, kib4, 0));
    EXPECT_TRUE(store.allocate(Size{object - page}, kib4, 0));
    EXPECT_TRUE(store.allocate(Size{page}, kib4, 0));
    EXPECT_FALSE(store.allocate(Size{page}, kib4, 0));
}

ObjectRange pages_of(uint64_t first, uint64_t count) {
    return ObjectRange::of(Offset{first * mib2.bytes}, Size{count * mib2.bytes});
}

TEST(Store, TakesWhatIsOfferedFromTheSmallestThatHasAsMuch) {
    Store store;
    EXPECT_FALSE(store.offered());
    EXPECT_FALSE(store.keeps_some_of(mib2));
    store.offer({{pages_of(0, 8), pages_of(100, 2), pages_of(200, 4)}, mib2, mib2});
    EXPECT_EQ(store.offered(), mib2);
    EXPECT_TRUE(store.keeps_some_of(mib2));
    EXPECT_FALSE(store.keeps_some_of(Size{mib2.bytes - page}));
    EXPECT_FALSE(store.take_offered(Size{mib2.bytes - page}));
    EXPECT_EQ(store.take_offered(Size{3 * mib2.bytes + page}), pages_of(200, 3));
    EXPECT_EQ(store.take_offered(mib2), pages_of(203, 1));
    EXPECT_EQ(store.take_offered(Size{20 * mib2.bytes}), pages_of(0, 8));
    EXPECT_EQ(store.take_offered(Size{20 * mib2.bytes}), pages_of(100, 2));
    EXPECT_FALSE(store.take_offered(mib2));
    EXPECT_FALSE(store.offered());
}

TEST(Store, OffersReplaceOlderOnes) {
    Store store;
    store.offer({{pages_of(0, 8)}, mib2, Size{0}});
    EXPECT_FALSE(store.keeps_some_of(mib2));
    store.offer({{pages_of(10, 1)}, mib2, Size{0}});
    EXPECT_EQ(store.take_offered(Size{20 * mib2.bytes}), pages_of(10, 1));
    EXPECT_FALSE(store.take_offered(mib2));
}

}  // namespace
}  // namespace remap
