// What a range of guest memory will be mapped with at stage 2: the sizes of its pages, and where they are not
// the largest, what stands in the way.
//
// A page of 2 MiB (1 GiB) needs all of these, whoever fills the table:
//
//     congruence   guest address, host address and place in the backing are equal modulo its size
//     backing      the memory is made of pages of that size
//     slot edge    the whole page is inside one slot
//     size         the whole page is inside one range with one kind of rights
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "remap/extent.h"
#include "remap/range.h"

namespace remap::stage2 {

// Pages of 4 KiB, 2 MiB and 1 GiB are leaves of these levels, but where a format of another geometry is asked for.
inline constexpr unsigned page_levels = 3;
inline constexpr std::array<Size, page_levels> usual_pages = {kib4, mib2, gib1};
constexpr Size page_size(unsigned level) {
    return usual_pages[level];
}

// Memory that is mapped alike and lies in one slot.
//
//     alike   |---------------------------------|     one kind of rights, one stretch of memory
//     slot            |----------------------------------|     one distance to the host's addresses
//     mapped          |=========================|
struct Piece {
    Range alike;
    Range slot;  // overlaps `alike`
    // Of the first mapped byte: where the host has it, and where it lies in its backing, whose pages begin at
    // the multiples of their size. Anonymous memory: the same as `host`.
    uint64_t host = 0;
    uint64_t place = 0;
    Size largest = kib4;  // page that the backing is made of, or can be
    Prot prot;

    Range mapped() const { return *alike.intersection(slot); }
    // Whether a block of that size, at a multiple of it, is one stretch of the host's memory.
    bool is_contiguous(Size block) const;
};

// How many pages of each size, by level.
struct Leaves {
    std::array<uint64_t, page_levels> of{};
    friend bool operator==(const Leaves&, const Leaves&) = default;
};

// Consecutive pages of one size.
struct Stretch {
    Gpa at;
    uint64_t host = 0;
    unsigned level = 0;
    uint64_t pages = 0;
    Size page = kib4;

    Range range() const { return Range::of(at, Size{pages * page.bytes}); }
};

// The piece as pages that are as large as they can be, in order; at most five stretches. Its ends are multiples of the
// smallest of `sizes`, which are by level.
std::vector<Stretch> stretches_of(const Piece& piece, std::span<const Size> sizes = usual_pages);

Leaves leaves_of(std::span<const Piece> pieces);

struct Obstacles {
    bool congruence = false;
    bool backing = false;
    bool slot_edge = false;
    bool size = false;

    bool any() const { return congruence || backing || slot_edge || size; }
    Obstacles& operator|=(const Obstacles& other);
    friend bool operator==(const Obstacles&, const Obstacles&) = default;
};

// A range as stage 2 will have it.
struct Outlook {
    unsigned largest = 0;  // level of the largest page that maps any of it
    Leaves leaves;         // pages that map any of it; one at the edge may map its neighbour too
    // For each level: what keeps some of the range from being mapped with pages of that size.
    std::array<Obstacles, page_levels> obstacles{};
};

// `pieces` are those of the whole space (or all around `range`), in order of address; `sizes` as in stretches_of().
Outlook outlook_of(std::span<const Piece> pieces, const Range& range,
                   std::span<const Size> sizes = usual_pages);

}  // namespace remap::stage2
