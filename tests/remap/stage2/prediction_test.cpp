// The second-stage table that the core predicts: entries bit by bit, and pages against an oracle that looks
// at one address at a time.
#include "remap/stage2/prediction.h"

#include <gtest/gtest.h>

#include <random>

#include "remap/stage2/arm_stage2.h"
#include "remap/stage2/ept.h"
#include "remap/stage2/table.h"

namespace remap::stage2 {
namespace {

constexpr uint64_t mib = 1ull << 20;
constexpr uint64_t gib = 1ull << 30;
constexpr uint64_t page = 4096;
constexpr uint64_t elsewhere = 0x1000'0000'0000;  // a host address that is a multiple of 1 GiB

Range range(uint64_t start, uint64_t size) {
    return Range::of(Gpa{start}, Size{size});
}

// A range in a slot of its own, of memory that is as congruent as can be.
Piece piece(uint64_t start, uint64_t size, Size largest, Prot prot = read_write) {
    uint64_t host = elsewhere + start;
    return {range(start, size), range(start, size), host, host, largest, prot};
}

std::array<uint64_t, page_levels> leaves(const Piece& one) {
    return leaves_of({&one, 1}).of;
}

using Counts = std::array<uint64_t, page_levels>;

Outlook outlook(const Piece& one) {
    return outlook_of({&one, 1}, one.mapped());
}

// ---- pages ----

TEST(Stage2Pages, AreAsLargeAsTheBackingHasThem) {
    EXPECT_EQ(leaves(piece(4 * gib, 2 * gib, kib4)), (Counts{2 * gib / page, 0, 0}));
    EXPECT_EQ(leaves(piece(4 * gib, 2 * gib, mib2)), (Counts{0, 1024, 0}));
    EXPECT_EQ(leaves(piece(4 * gib, 2 * gib, gib1)), (Counts{0, 0, 2}));
}

//     4 KiB | 2 MiB ... | 1 GiB | 2 MiB | 4 KiB
TEST(Stage2Pages, AreSmallerTowardsBothEnds) {
    Piece one = piece(5 * gib - 2 * mib - page, page + 2 * mib + gib + 4 * mib + 3 * page, gib1);
    EXPECT_EQ(leaves(one), (Counts{4, 3, 1}));
    auto stretches = stretches_of(one);
    ASSERT_EQ(stretches.size(), 5u);
    EXPECT_EQ(stretches[2].at, Gpa{5 * gib});
    EXPECT_EQ(stretches[2].host, elsewhere + 5 * gib);
    EXPECT_EQ(stretches[4].at, Gpa{6 * gib + 4 * mib});
}

TEST(Stage2Pages, NeedCongruenceOfAllThreeAddresses) {
    Piece one = piece(4 * gib, 4 * mib, mib2);
    one.host += page;
    one.place += page;
    EXPECT_EQ(leaves(one), (Counts{1024, 0, 0}));
    one = piece(4 * gib, 4 * mib, mib2);
    one.place += page;
    EXPECT_EQ(leaves(one), (Counts{1024, 0, 0}));
    // Equal modulo 2 MiB is enough for these, and not for the larger ones.
    one = piece(4 * gib, gib, gib1);
    one.host += 2 * mib;
    EXPECT_EQ(leaves(one), (Counts{0, 512, 0}));
}

TEST(Stage2Pages, DoNotReachAcrossASlotsEdge) {
    Piece one = piece(4 * gib, 8 * mib, mib2);
    one.slot = range(4 * gib + mib, 4 * mib);
    one.host = one.place = elsewhere + 4 * gib + mib;
    EXPECT_EQ(leaves(one), (Counts{512, 1, 0}));
}

TEST(Stage2Pages, AtTheTopOfTheSpace) {
    Piece one = piece(~0ull - 4 * mib + 1 - page, 4 * mib, mib2);
    EXPECT_EQ(leaves(one), (Counts{512, 1, 0}));
    EXPECT_TRUE(outlook(one).obstacles[1].size);
}

// ---- what stands in the way ----

TEST(Stage2Obstacles, None) {
    EXPECT_FALSE(outlook(piece(4 * gib, 4 * mib, mib2)).obstacles[1].any());
    EXPECT_FALSE(outlook(piece(4 * gib, gib, gib1)).obstacles[2].any());
}

TEST(Stage2Obstacles, AreNamed) {
    EXPECT_EQ(outlook(piece(4 * gib, 4 * mib, kib4)).obstacles[1], Obstacles{.backing = true});
    EXPECT_EQ(outlook(piece(4 * gib, 4 * mib, mib2)).obstacles[2],
              (Obstacles{.backing = true, .size = true}));
    EXPECT_EQ(outlook(piece(4 * gib + mib, 8 * mib, mib2)).obstacles[1], Obstacles{.size = true});
    EXPECT_EQ(outlook(piece(4 * gib, 4 * mib + page, mib2)).obstacles[1], Obstacles{.size = true});
    Piece moved = piece(4 * gib, 4 * mib, mib2);
    moved.host += page;
    EXPECT_EQ(outlook(moved).obstacles[1], Obstacles{.congruence = true});
    Piece cut = piece(4 * gib, 8 * mib, mib2);
    cut.slot = range(4 * gib, 3 * mib);
    EXPECT_EQ(outlook(cut).obstacles[1], Obstacles{.slot_edge = true});
}

// Two ranges that only their attributes tell apart are one stretch of memory: a page may hold parts of both.
TEST(Stage2Obstacles, OfAPartAreThoseThatTouchIt) {
    Piece whole = piece(4 * gib + mib, 8 * mib, mib2);
    Outlook first = outlook_of({&whole, 1}, range(4 * gib + mib, mib));
    EXPECT_EQ(first.leaves.of, (Counts{256, 0, 0}));
    EXPECT_TRUE(first.obstacles[1].size);
    Outlook middle = outlook_of({&whole, 1}, range(4 * gib + 3 * mib, 2 * mib));
    EXPECT_EQ(middle.leaves.of, (Counts{0, 2, 0}));
    EXPECT_FALSE(middle.obstacles[1].any());
    EXPECT_EQ(middle.largest, 1u);
}

TEST(Stage2Obstacles, OfARangeInSeveralSlots) {
    std::vector<Piece> pieces(2, piece(4 * gib, 2 * gib, mib2));
    pieces[0].slot = range(4 * gib, gib + mib);
    pieces[1].slot = range(5 * gib + mib, gib);
    pieces[1].host = pieces[1].place = elsewhere + 5 * gib + mib;
    Outlook both = outlook_of(pieces, range(4 * gib, 2 * gib));
    EXPECT_EQ(both.leaves.of, (Counts{512, 1023, 0}));
    EXPECT_EQ(both.obstacles[1], Obstacles{.slot_edge = true});
    EXPECT_EQ(outlook_of(pieces, range(10 * gib, gib)).leaves, Leaves{});
}

// ---- tables ----

template <class F>
class Stage2Table : public testing::Test {};
using Formats = testing::Types<Ept, ArmStage2>;
TYPED_TEST_SUITE(Stage2Table, Formats);

TYPED_TEST(Stage2Table, WalksToWhatIsMapped) {
    std::vector<Piece> pieces = {piece(4 * gib - page, 2 * mib + 2 * page, mib2, readable)};
    Table<TypeParam> table(pieces);
    auto at = [](uint64_t gpa) { return elsewhere + gpa; };
    EXPECT_FALSE(table.walk(Gpa{4 * gib - page - 1}));
    auto below = table.walk(Gpa{4 * gib - 1});
    ASSERT_TRUE(below);
    EXPECT_EQ(below->level, 0u);
    EXPECT_EQ(below->address, at(4 * gib - 1));
    EXPECT_EQ(below->prot, readable);
    auto large = table.walk(Gpa{4 * gib + mib + 5});
    ASSERT_TRUE(large);
    EXPECT_EQ(large->level, 1u);
    EXPECT_EQ(large->address, at(4 * gib + mib + 5));
    EXPECT_EQ(table.walk(Gpa{4 * gib + 2 * mib})->level, 0u);
    EXPECT_FALSE(table.walk(Gpa{4 * gib + 2 * mib + page}));
    EXPECT_FALSE(table.walk(Gpa{1ull << 48}));
    EXPECT_EQ(table.leaves().of, (Counts{2, 1, 0}));
    // The root, one for 512 GiB, two for 1 GiB, two for 2 MiB.
    EXPECT_EQ(table.tables(), 6u);
}

TYPED_TEST(Stage2Table, MapsTheHighestPage) {
    std::vector<Piece> pieces = {piece((1ull << 48) - page, page, kib4, Prot{7})};
    pieces[0].host = 0;
    Table<TypeParam> table(pieces);
    auto found = table.walk(Gpa{(1ull << 48) - 1});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->address, page - 1);
    EXPECT_EQ(found->prot, Prot{7});
}

// ---- granules, and the contiguous hint ----

template <class F>
class Stage2Granule : public testing::Test {};
using LargeGranules = testing::Types<Arm16k, Arm64k>;
TYPED_TEST_SUITE(Stage2Granule, LargeGranules);

TYPED_TEST(Stage2Granule, HasPagesAndBlocksOfItsOwn) {
    using G = Geometry<TypeParam>;
    const uint64_t small = G::page(0).bytes, block = G::page(1).bytes;
    std::vector<Piece> pieces = {piece(4 * gib - small, block + 2 * small, gib1, readable)};
    Table<TypeParam> table(pieces);
    EXPECT_EQ(table.leaves().of, (Counts{2, 1, 0}));
    // The root, one for what is below 4 GiB and one for what is above, and a table of pages in each.
    EXPECT_EQ(table.walk(Gpa{4 * gib - 1})->level, 0u);
    EXPECT_EQ(table.walk(Gpa{4 * gib + small + 5})->level, 1u);
    EXPECT_EQ(table.walk(Gpa{4 * gib + small + 5})->address, elsewhere + 4 * gib + small + 5);
    EXPECT_EQ(table.walk(Gpa{4 * gib + block})->level, 0u);
    EXPECT_FALSE(table.walk(Gpa{4 * gib + block + small}));
    EXPECT_FALSE(table.walk(Gpa{1ull << 48}));
    pieces = {piece((1ull << 48) - small, small, kib4)};
    pieces[0].host = 0;
    EXPECT_EQ(Table<TypeParam>(pieces).walk(Gpa{(1ull << 48) - 1})->address, small - 1);
}

// 2 MiB of the host are no block there, and one group of pages.
TYPED_TEST(Stage2Granule, AHugePageOfTheHostIsOneGroupOfNeighbours) {
    std::vector<Piece> pieces = {piece(4 * gib, 4 * mib, mib2)};
    Table<TypeParam> table(pieces);
    const uint64_t pages = 4 * mib / Geometry<TypeParam>::page(0).bytes;
    EXPECT_EQ(table.leaves().of, (Counts{pages, 0, 0}));
    EXPECT_EQ(table.contiguous_leaves(), pages);
    EXPECT_TRUE(table.walk(Gpa{4 * gib})->entry & TypeParam::contiguous);
}

uint64_t contiguous_leaves(const Piece& one) {
    return Table<ArmStage2>(std::span(&one, 1)).contiguous_leaves();
}

TEST(Stage2Contiguous, IsSaidOfSixteenWholeNeighbours) {
    EXPECT_EQ(contiguous_leaves(piece(4 * gib + mib, 16 * page, mib2)), 16u);
    EXPECT_EQ(contiguous_leaves(piece(4 * gib + page, 39 * page, mib2)), 16u);
    EXPECT_EQ(contiguous_leaves(piece(4 * gib + page, 30 * page, mib2)), 0u);
    EXPECT_EQ(contiguous_leaves(piece(4 * gib + 32 * mib, 96 * mib, gib1)), 48u);  // of 2 MiB
    EXPECT_EQ(contiguous_leaves(piece(4 * gib + 2 * mib, 62 * mib, gib1)), 16u);
}

TEST(Stage2Contiguous, NeedsMemoryThatIs) {
    EXPECT_EQ(contiguous_leaves(piece(4 * gib + mib, 16 * page, kib4)), 0u);
    EXPECT_EQ(contiguous_leaves(piece(4 * gib, 32 * mib, mib2)), 0u);
    Piece shifted = piece(4 * gib, 4 * mib, mib2);
    shifted.host += page;
    shifted.place += page;
    EXPECT_EQ(contiguous_leaves(shifted), 0u);
    // By a multiple of 64 KiB: no block, and pages side by side all the same.
    shifted.host = shifted.place = elsewhere + 4 * gib + 16 * page;
    EXPECT_EQ(contiguous_leaves(shifted), 1024u);
    Table<Ept> ept(std::span(&shifted, 1));
    EXPECT_EQ(ept.contiguous_leaves(), 0u);
}

// ---- against an oracle ----

bool is_contiguous(const Piece& one, uint64_t start, uint64_t size) {
    Range whole = range(start, size);
    uint64_t first = one.mapped().start().value;
    bool congruent = (first - one.host) % size == 0 && (first - one.place) % size == 0;
    return congruent && size <= one.largest.bytes && one.alike.contains(whole) && one.slot.contains(whole);
}

// The level of the leaf that maps `at`: the largest page around it that nothing forbids.
template <class F>
unsigned expected_level(const Piece& one, uint64_t at) {
    for (unsigned level = F::highest_leaf + 1; level-- > 1;) {
        uint64_t size = Geometry<F>::page(level).bytes;
        if (is_contiguous(one, at / size * size, size)) return level;
    }
    return 0;
}

template <class F>
bool expected_hint(const Piece& one, uint64_t at, unsigned level) {
    if (F::neighbours(level) == 1) return false;
    uint64_t size = F::neighbours(level) * Geometry<F>::page(level).bytes, start = at / size * size;
    return is_contiguous(one, start, size) && expected_level<F>(one, start) == level;
}

// Up to 4 GiB, with ends at multiples of any page size, in a slot whose edges are just such.
Piece random_piece(std::mt19937_64& random, uint64_t smallest) {
    auto below = [&](uint64_t end) { return std::uniform_int_distribution<uint64_t>(0, end - 1)(random); };
    auto edge = [&](uint64_t from) {
        const uint64_t units[] = {smallest, mib, 2 * mib, gib};
        uint64_t unit = units[below(4)];
        return (from / unit + 1 + below(2 * gib / unit)) * unit;
    };
    uint64_t alike = edge(4 * gib), slot = edge(4 * gib);
    uint64_t common = std::max(alike, slot);
    const uint64_t shifts[] = {0, 0, 0, 2 * mib, smallest, gib};
    uint64_t host = elsewhere + common + shifts[below(6)];
    return {range(alike, edge(common) - alike),
            range(slot, edge(common) - slot),
            host,
            host + shifts[below(6)],
            page_size(static_cast<unsigned>(below(page_levels))),
            below(2) ? read_write : readable};
}

template <class F>
class Stage2Oracle : public testing::Test {
  protected:
    // Walks through all that is mapped, leaf by leaf.
    static Leaves walk(const Piece& one) {
        Table<F> table(std::span(&one, 1));
        Range mapped = one.mapped();
        Leaves counted;
        uint64_t hints = 0;
        for (Gpa at = mapped.start(); mapped.contains(at);) {
            unsigned level = expected_level<F>(one, at.value);
            auto found = table.walk(at);
            bool right = found && found->level == level && found->prot == one.prot &&
                         found->address == one.host + at.above(mapped.start()).bytes &&
                         ((found->entry & F::contiguous) != 0) == expected_hint<F>(one, at.value, level);
            if (!right) {
                ADD_FAILURE() << "at " << at.value << ", level " << level;
                break;
            }
            counted.of[level]++;
            hints += found->entry & F::contiguous ? 1 : 0;
            at = at.advanced(Geometry<F>::page(level));
        }
        EXPECT_FALSE(table.walk(mapped.end()));
        EXPECT_EQ(counted, table.leaves());
        EXPECT_EQ(hints, table.contiguous_leaves());
        return counted;
    }
};
using AllFormats = testing::Types<Ept, ArmStage2, Arm16k, Arm64k>;
TYPED_TEST_SUITE(Stage2Oracle, AllFormats);

TYPED_TEST(Stage2Oracle, AgreesOnEveryEdgeOfRandomPieces) {
    uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const uint64_t smallest = Geometry<TypeParam>::page(0).bytes;
    for (int trial = 0; trial < 150 && !testing::Test::HasFailure(); ++trial) {
        Piece one = random_piece(random, smallest);
        Leaves counted = this->walk(one);
        if (smallest != page) continue;
        EXPECT_EQ(counted, outlook(one).leaves);
        for (unsigned level = 1; level < page_levels; ++level) {
            uint64_t smaller = 0;
            for (unsigned i = 0; i < level; ++i) smaller += counted.of[i];
            EXPECT_EQ(outlook(one).obstacles[level].any(), smaller > 0) << "level " << level;
        }
    }
}

}  // namespace
}  // namespace remap::stage2
