// What a second-stage page table is made of, whatever the processor.
//
// A format is a file of bits: how a leaf and a reference to a table are written in 64 bits, and read back.
// Its geometry, and that it reads what it writes, are proved where it is compiled. The tree is in table.h.
//
// Levels are counted from the leaves: 0 holds the smallest pages, and each level above covers 2^index_bits as
// much. (Intel counts 1 ... 4 from the leaves, ARM 3 ... 0.)
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <variant>

#include "remap/address.h"
#include "remap/extent.h"

namespace remap::stage2 {

// ---- what one entry says ----

struct Nothing {
    friend constexpr bool operator==(Nothing, Nothing) = default;
};
struct TableAt {
    uint64_t address = 0;
    friend constexpr bool operator==(const TableAt&, const TableAt&) = default;
};
// A page, or a large one above level 0.
struct Leaf {
    uint64_t address = 0;  // what it maps to
    Prot prot;
    friend constexpr bool operator==(const Leaf&, const Leaf&) = default;
};
using Entry = std::variant<Nothing, TableAt, Leaf>;

// Whoever adds a format writes these. Rights that the processor does not have are widened to the least that
// it has (writable alone becomes readable and writable, say); every leaf is ordinary, write-back memory.
template <class F>
concept EntryFormat = requires(uint64_t raw, uint64_t address, unsigned level, Prot prot) {
    { F::name } -> std::convertible_to<const char*>;
    { F::levels } -> std::convertible_to<unsigned>;        // of tables, the root included
    { F::index_bits } -> std::convertible_to<unsigned>;    // of a guest address, that one table consumes
    { F::page_shift } -> std::convertible_to<unsigned>;    // of the smallest page
    { F::highest_leaf } -> std::convertible_to<unsigned>;  // the level of the largest page
    // How many leaves side by side may say by `contiguous` that they map one stretch of memory; 1: none may.
    { F::neighbours(level) } -> std::same_as<unsigned>;
    { F::contiguous } -> std::convertible_to<uint64_t>;
    { F::leaf(address, level, prot) } -> std::same_as<uint64_t>;
    { F::table(address) } -> std::same_as<uint64_t>;
    { F::decode(raw, level) } -> std::same_as<Entry>;
};

template <EntryFormat F>
struct Geometry {
    static constexpr unsigned entries = 1u << F::index_bits;
    // A root may have fewer entries than another table.
    static constexpr unsigned address_bits = std::min(48u, F::page_shift + F::levels * F::index_bits);

    static constexpr unsigned shift(unsigned level) { return F::page_shift + level * F::index_bits; }
    static constexpr Size page(unsigned level) { return {uint64_t{1} << shift(level)}; }
    // By level.
    static constexpr auto pages() {
        std::array<Size, F::highest_leaf + 1> sizes;
        for (unsigned level = 0; level <= F::highest_leaf; ++level) sizes[level] = page(level);
        return sizes;
    }
    static constexpr unsigned index(Gpa at, unsigned level) {
        return static_cast<unsigned>(at.value >> shift(level)) & (entries - 1);
    }
};

// ---- what every format is held to ----

// The pages of x86 and of ARM's 4 KiB granule, in tables that are one page each.
template <EntryFormat F>
constexpr bool has_usual_geometry() {
    using G = Geometry<F>;
    return G::page(0) == kib4 && G::page(1) == mib2 && G::page(2) == gib1 && F::highest_leaf == 2 &&
           G::address_bits == 48 && G::entries * sizeof(uint64_t) == G::page(0).bytes &&
           F::highest_leaf < F::levels;
}

// Whether the format reads what it writes: at every level a lowest and a highest address, and one with
// alternating bits, with every right that a range can have; references to tables; and the empty entry.
template <EntryFormat F>
constexpr bool reads_what_it_writes() {
    using G = Geometry<F>;
    constexpr uint64_t space = uint64_t{1} << G::address_bits;
    for (unsigned level = 0; level < F::levels; ++level) {
        if (F::decode(0, level) != Entry(Nothing{})) return false;
        for (uint64_t sample : {uint64_t{0}, space / 3, space - 1}) {
            uint64_t table = sample / G::page(0).bytes * G::page(0).bytes;
            if (level > 0 && F::decode(F::table(table), level) != Entry(TableAt{table})) return false;
            uint64_t page = sample / G::page(level).bytes * G::page(level).bytes;
            for (int more : {0, 2, 4, 6}) {
                Prot prot{static_cast<uint8_t>(readable.bits | more)};
                if (level <= F::highest_leaf &&
                    F::decode(F::leaf(page, level, prot), level) != Entry(Leaf{page, prot}))
                    return false;
            }
        }
    }
    return true;
}

}  // namespace remap::stage2
