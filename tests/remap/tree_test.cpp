// The tree of ranges against std::map.
#include "remap/tree.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>
#include <random>

namespace remap {
namespace {

struct Entry {
    Range range;
    uint64_t value;
    // How often any entry was compared or copied is what a change costs.
    static inline uint64_t copies = 0;

    Entry(const Range& where, uint64_t what) : range(where), value(what) {}
    Entry(const Entry& other) : range(other.range), value(other.value) { ++copies; }
    Entry(Entry&&) = default;
};

using Reference = std::map<uint64_t, std::pair<uint64_t, uint64_t>>;  // start: end, value
using Ranges = Tree<Entry, Gpa>;

constexpr uint64_t space = 400;
const Range everything = Range::of(Gpa{0}, Size{space});

Range between(uint64_t start, uint64_t end) {
    return Range::between(Gpa{start}, Gpa{end});
}

bool is_free(const Reference& reference, uint64_t start, uint64_t end) {
    for (const auto& [from, to] : reference)
        if (from < end && start < to.first) return false;
    return true;
}

std::vector<std::array<uint64_t, 3>> contents(const Ranges& tree) {
    std::vector<std::array<uint64_t, 3>> found;
    tree.visit_overlapping(everything, [&](const Entry& entry) {
        found.push_back({entry.range.start().value, entry.range.end().value, entry.value});
        return true;
    });
    return found;
}

std::vector<std::array<uint64_t, 3>> contents(const Reference& reference) {
    std::vector<std::array<uint64_t, 3>> found;
    for (const auto& [from, to] : reference) found.push_back({from, to.first, to.second});
    return found;
}

// Inserts where it is free, else erases what starts in a range that none straddles.
void change(std::mt19937_64& random, Ranges& tree, Reference& reference) {
    uint64_t start = random() % (space - 8), end = start + 1 + random() % 8;
    if (is_free(reference, start, end)) {
        uint64_t value = random();
        reference[start] = {end, value};
        tree.insert(Entry(between(start, end), value));
        return;
    }
    for (const auto& [from, to] : reference)
        if ((from < start && to.first > start) || (from < end && to.first > end)) return;
    std::erase_if(reference, [&](const auto& each) { return each.first >= start && each.first < end; });
    tree.erase_starting_in(between(start, end));
}

void expect_searches_agree(const Ranges& tree, const Reference& reference) {
    for (uint64_t at = 0; at < space; at += 3) {
        const Entry* found = tree.find(Gpa{at});
        const Entry* next = tree.first_ending_after(Gpa{at});
        const Entry* below = tree.last_starting_before(Gpa{at});
        std::optional<uint64_t> in, first_after, last_before;
        for (const auto& [from, to] : reference) {
            if (from <= at && at < to.first) in = from;
            if (!first_after && to.first > at) first_after = from;
            if (from < at) last_before = from;
        }
        auto start = [](const Entry* entry) {
            return entry ? std::optional(entry->range.start().value) : std::nullopt;
        };
        EXPECT_EQ(start(found), in);
        EXPECT_EQ(start(next), first_after);
        EXPECT_EQ(start(below), last_before);
    }
}

TEST(Tree, AgreesWithMap) {
    std::mt19937_64 random(1);
    Ranges tree;
    Reference reference;
    for (int turn = 0; turn < 20000; ++turn) {
        change(random, tree, reference);
        ASSERT_EQ(tree.size(), reference.size());
        if (turn % 50) continue;
        ASSERT_EQ(contents(tree), contents(reference));
        expect_searches_agree(tree, reference);
    }
}

TEST(Tree, CopiesStayAsTheyWere) {
    std::mt19937_64 random(2);
    Ranges tree;
    Reference reference;
    std::vector<std::pair<Ranges, Reference>> kept;
    for (int turn = 0; turn < 3000; ++turn) {
        change(random, tree, reference);
        if (turn % 30 == 0) kept.emplace_back(tree, reference);
    }
    for (const auto& [old_tree, old_reference] : kept) ASSERT_EQ(contents(old_tree), contents(old_reference));
}

std::optional<Gpa> lowest_gap(const Reference& reference, const Range& within, uint64_t size,
                              uint64_t modulus, uint64_t phase) {
    for (uint64_t at = within.start().value; at + size <= within.end().value; ++at)
        if (at % modulus == phase % modulus && is_free(reference, at, at + size)) return Gpa{at};
    return std::nullopt;
}

TEST(Tree, FindsTheLowestGap) {
    std::mt19937_64 random(3);
    Ranges tree;
    Reference reference;
    for (int turn = 0; turn < 20000; ++turn) {
        change(random, tree, reference);
        uint64_t start = random() % space, end = start + 1 + random() % (space - start);
        uint64_t size = 1 + random() % 20, modulus = uint64_t{1} << random() % 6, phase = random() % 64;
        ASSERT_EQ(tree.lowest_gap(between(start, end), Size{size}, Size{modulus}, phase),
                  lowest_gap(reference, between(start, end), size, modulus, phase));
    }
}

// Entries and gaps of 8 bytes by turns: [8, 16) taken, [16, 24) free, ... None has room for 8 bytes at a
// multiple of 16, but for what `odd_one` says: the gap behind that entry is twice as wide.
Ranges with_gaps_of_the_wrong_phase(uint64_t entries, std::optional<uint64_t> odd_one = std::nullopt) {
    Ranges tree;
    for (uint64_t i = 0, at = 0; i < entries; ++i, at += 16) {
        tree.insert(Entry(between(at, at + 8), i));
        if (i == odd_one) at += 16;
    }
    return tree;
}

// The search for the lowest gives up where a gap further on has room for sure; but not where there is none.
TEST(Tree, FindsAGapBehindManyOfTheWrongPhase) {
    constexpr uint64_t entries = 1000, end = 16 * entries;
    auto gap = [](const Ranges& tree, uint64_t limit) {
        return tree.lowest_gap(between(0, limit), Size{8}, Size{16}, 0);
    };
    EXPECT_EQ(gap(with_gaps_of_the_wrong_phase(entries), end), std::nullopt);
    EXPECT_EQ(gap(with_gaps_of_the_wrong_phase(entries), end + 8), Gpa{end});
    EXPECT_EQ(gap(with_gaps_of_the_wrong_phase(entries), end + 1000), Gpa{end});
    uint64_t soon = Ranges::patience / 2, late = 2 * Ranges::patience;
    EXPECT_EQ(gap(with_gaps_of_the_wrong_phase(entries, soon), end + 1000), Gpa{16 * (soon + 1)});
    EXPECT_EQ(gap(with_gaps_of_the_wrong_phase(entries, late), end), Gpa{16 * (late + 1)});
    // The first that is sure to have room is that one, too.
    EXPECT_EQ(gap(with_gaps_of_the_wrong_phase(entries, late), end + 1000), Gpa{16 * (late + 1)});
    // Of 8 bytes at an odd multiple of 8 there is room in each.
    EXPECT_EQ(with_gaps_of_the_wrong_phase(entries).lowest_gap(between(0, end), Size{8}, Size{16}, 8),
              Gpa{8});
}

// Counted, not timed: how many entries a change copies grows with the logarithm of their number. The most
// that any single one may is some 1.44 log2 n levels, a few nodes on each, for two splits and two joins.
TEST(Tree, AChangeTouchesAPathOnly) {
    for (uint64_t count : {1000u, 30000u, 300000u}) {
        Ranges tree;
        for (uint64_t at = 0; at < count; ++at) tree.insert(Entry(between(4 * at, 4 * at + 2), at));
        std::mt19937_64 random(4);
        uint64_t most = 0;
        for (int turn = 0; turn < 2000; ++turn) {
            uint64_t at = random() % count;
            Entry::copies = 0;
            tree.erase_starting_in(between(4 * at, 4 * at + 1));
            tree.insert(Entry(between(4 * at, 4 * at + 2), at));
            most = std::max(most, Entry::copies);
        }
        EXPECT_LT(static_cast<double>(most), 20 * std::log2(static_cast<double>(count))) << count;
    }
}

}  // namespace
}  // namespace remap
