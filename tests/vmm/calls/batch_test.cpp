// What a batch may take with it: it has to be undone as a whole, and the vCPUs wait for it.
#include "vmm/calls/batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace gpremap {
namespace {

using abi::BatchCall;
using abi::Call;

constexpr uint64_t page = 4096, mib = 1ull << 20, base = 4ull << 30;
constexpr uint64_t rw = GPREMAP_PROT_READ | GPREMAP_PROT_WRITE;

remap::Space space(uint64_t limit) {
    return {remap::Range::of(remap::Gpa{base}, remap::Size{64ull << 30}),
            remap::Size{page},
            remap::FreshMemory::anon,
            {remap::Size{limit}, remap::Size{~0ull}, 30000, 30000}};
}

BatchCall call(Call number, std::vector<uint64_t> args) {
    BatchCall entry = {};
    entry.number = static_cast<uint64_t>(number);
    std::copy(args.begin(), args.end(), entry.arg);
    return entry;
}

BatchCall replace(uint64_t size) {
    return call(Call::map, {base, size, rw, GPREMAP_FLAG_REPLACE});
}

// Each of these maps is within the limit, and what the one before it mapped waits for the end.
TEST(Batch, SetsAsideNoMoreThanTheLimit) {
    constexpr uint64_t limit = 64 * mib;
    std::vector<BatchCall> twice(2, replace(limit)), thrice(3, replace(limit));
    EXPECT_TRUE(plan_batch(space(limit), twice));
    auto refused = plan_batch(space(limit), thrice);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), remap::Errno::enomem);
}

TEST(Batch, CountsWhatIsUnmappedAndGivenBackToo) {
    constexpr uint64_t limit = 8 * mib;
    std::vector<BatchCall> calls;
    for (int i = 0; i < 2; i++) {
        calls.push_back(call(Call::map, {base, limit, rw, 0}));
        calls.push_back(call(Call::unmap, {base, limit}));
    }
    auto refused = plan_batch(space(limit), calls);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), remap::Errno::enomem);

    calls = {call(Call::map, {base, limit, rw, 0}), call(Call::release, {base, limit}),
             call(Call::release, {base, limit})};
    EXPECT_FALSE(plan_batch(space(limit), calls));
}

// Two views of the same pages hold them once.
TEST(Batch, MayTakeAwayAllThatThereIs) {
    constexpr uint64_t limit = 8 * mib, view = base + (1ull << 30);
    std::vector<BatchCall> make = {call(Call::map, {base, limit, rw, GPREMAP_FLAG_SHARED}),
                                   call(Call::alias, {base, view, limit, rw, 0})};
    remap::Space filled = plan_batch(space(2 * limit), make)->after;
    filled.set_limits({remap::Size{limit}, remap::Size{~0ull}, 30000, 30000});
    std::vector<BatchCall> take = {call(Call::unmap, {base, limit}), call(Call::unmap, {view, limit})};
    EXPECT_TRUE(plan_batch(filled, take));
}

// Moves, rights and attributes put nothing aside, however often.
TEST(Batch, MayMoveAsOftenAsItHasCalls) {
    constexpr uint64_t limit = 8 * mib, elsewhere = base + (1ull << 30);
    std::vector<BatchCall> calls = {call(Call::map, {base, limit, rw, 0})};
    for (uint64_t i = 0; i + 1 < GPREMAP_MAX_BATCH; i++)
        calls.push_back(i % 2 == 0 ? call(Call::move, {base, elsewhere, limit, 0})
                                   : call(Call::move, {elsewhere, base, limit, 0}));
    EXPECT_TRUE(plan_batch(space(limit), calls));
}

// A move that keeps the holes of many pieces is a change for each of them.
TEST(Batch, HasSoManyChangesAtMost) {
    constexpr uint64_t pieces = 1000, all = 2 * pieces * page, elsewhere = base + (8ull << 30);
    remap::Space crowded = space(1ull << 40);
    for (uint64_t i = 0; i < pieces; i++) {
        std::vector<BatchCall> map = {call(Call::map, {base + 2 * i * page, page, rw, 0})};
        crowded = plan_batch(crowded, map)->after;
    }
    const uint64_t flags = GPREMAP_FLAG_KEEP_HOLES;
    std::vector<BatchCall> calls;
    for (int i = 0; i < 80; i++)
        calls.push_back(i % 2 == 0 ? call(Call::move, {base, elsewhere, all, flags})
                                   : call(Call::move, {elsewhere, base, all, flags}));
    std::vector<BatchCall> one(calls.begin(), calls.begin() + 1);
    auto fits = plan_batch(crowded, one);
    ASSERT_TRUE(fits);
    EXPECT_LE(fits->changes.size(), most_batch_pieces);
    auto refused = plan_batch(crowded, calls);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), remap::Errno::enomem);
}

// One change may be about many pieces, which the host moves one by one.
TEST(Batch, HasSoManyPiecesAtMostHoweverFewTheChanges) {
    constexpr uint64_t pieces = 1000, all = pieces * page, elsewhere = base + (8ull << 30);
    remap::Space crowded = space(1ull << 40);
    for (uint64_t i = 0; i < pieces; i++) {
        const uint64_t prot = i % 2 == 0 ? rw : uint64_t{GPREMAP_PROT_READ};
        std::vector<BatchCall> map = {call(Call::map, {base + i * page, page, prot, 0})};
        crowded = plan_batch(crowded, map)->after;
    }
    std::vector<BatchCall> calls;
    for (int i = 0; i < 80; i++)
        calls.push_back(i % 2 == 0 ? call(Call::move, {base, elsewhere, all, 0})
                                   : call(Call::move, {elsewhere, base, all, 0}));
    EXPECT_FALSE(plan_batch(crowded, calls));
    calls.resize(60);
    EXPECT_TRUE(plan_batch(crowded, calls));
}

}  // namespace
}  // namespace gpremap
