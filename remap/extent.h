// An extent: a run of guest-physical addresses that is mapped in one way.
#pragma once

#include <cstdint>

#include "remap/range.h"

namespace remap {

// Access rights; the values are Linux's PROT_*.
struct Prot {
    uint8_t bits = 0;
    friend constexpr bool operator==(Prot, Prot) = default;
    constexpr bool allows(Prot wanted) const { return (bits & wanted.bits) == wanted.bits; }
};
inline constexpr Prot no_access{0};
inline constexpr Prot readable{1};
inline constexpr Prot writable{2};
inline constexpr Prot executable{4};
inline constexpr Prot read_write{3};
inline constexpr uint64_t all_prot_bits = 7;

// What an extent is besides its rights. See the table of attributes in docs/semantics.md.
struct Attributes {
    bool shared = false;
    bool locked = false;
    bool pinned = false;
    bool sealed = false;
    friend constexpr bool operator==(const Attributes&, const Attributes&) = default;
};

// Where the bytes are.
//   anon    memory of this extent alone; it has no name, it is found through its guest address
//   object  the VM's backing object at `offset`: may be mapped by several extents (aliases)
//   cow     private pages over the object at `offset`: what has not been written reads the object
enum class MemoryKind : uint8_t { anon, object, cow };

struct Memory {
    MemoryKind kind = MemoryKind::anon;
    Offset offset;  // of the extent's first byte; 0 for anon
    friend constexpr bool operator==(const Memory&, const Memory&) = default;

    constexpr Memory advanced(Size by) const {
        return kind == MemoryKind::anon ? *this : Memory{kind, offset.advanced(by)};
    }
};

// What tells two neighbours with equal rights apart, as in Linux (anon_vma and vm_pgoff there): memory
// that was born in different places does not become one mapping by being moved side by side, and memory
// that is moved away and back becomes one again. A resize that crosses such a boundary is refused by Linux.
struct Lineage {
    uint64_t family = 0;
    uint64_t origin = 0;  // address of birth of the extent's first byte; may have wrapped
    friend constexpr bool operator==(const Lineage&, const Lineage&) = default;

    constexpr Lineage advanced(Size by) const { return {family, origin + by.bytes}; }
};

struct Extent {
    Range range;
    Prot prot;
    Attributes attributes;
    Memory memory;
    Lineage lineage;

    friend constexpr bool operator==(const Extent&, const Extent&) = default;

    // The part of the extent inside `range`, which it must overlap.
    Extent clipped(const Range& to) const {
        Extent part = *this;
        part.range = *range.intersection(to);
        Size skipped = part.range.start().above(range.start());
        part.memory = memory.advanced(skipped);
        part.lineage = lineage.advanced(skipped);
        return part;
    }
};

// Nothing visible to a caller tells the two apart: `right` follows `left` and they are one mapping.
constexpr bool continues(const Extent& left, const Extent& right) {
    return left.range.end() == right.range.start() && left.prot == right.prot &&
           left.attributes == right.attributes && left.lineage.advanced(left.range.size()) == right.lineage;
}

// And their memory is contiguous too, so that one entry can stand for both.
constexpr bool coalesces(const Extent& left, const Extent& right) {
    return continues(left, right) && left.memory.advanced(left.range.size()) == right.memory;
}

}  // namespace remap
