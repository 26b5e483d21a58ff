// ARM's stage 2, VMSAv8-64, 48-bit addresses (Arm ARM, "VMSAv8-64 descriptor formats").
//
//      54 53 52    47        g   10  9  8  7  6  5    2  1  0
//     [ XN  | C|  | address   | |AF | SH  |S2AP|MemAttr| T| 1]     leaf; T: a page (level 0), not a block
//     [        0  | address   |                     0  | 1| 1]     table
//
// g and the geometry are those of the granule, which is the size of a page and of a table:
//
//     granule    entries of a table     pages, and blocks     neighbours with C
//      4 KiB      512                   4 KiB, 2 MiB, 1 GiB   16, 16, 16
//     16 KiB     2048, 2 in the root    16 KiB, 32 MiB        128, 32
//     64 KiB     8192, 64 in the root   64 KiB, 512 MiB       32, 32
//
// C, the contiguous hint: that many neighbours, the first at a multiple of all of them, map one stretch of memory alike,
// and one entry of the TLB may do for them.
#pragma once

#include "remap/stage2/entry_format.h"

namespace remap::stage2 {

// log2 of the granule's bytes.
template <unsigned granule>
struct ArmGranule {
    static_assert(granule == 12 || granule == 14 || granule == 16);

    static constexpr const char* name = granule == 12   ? "ARM stage 2"
                                        : granule == 14 ? "ARM stage 2, 16 KiB granule"
                                                        : "ARM stage 2, 64 KiB granule";
    static constexpr unsigned levels = granule == 16 ? 3 : 4;
    static constexpr unsigned index_bits = granule - 3;
    static constexpr unsigned page_shift = granule;
    static constexpr unsigned highest_leaf = granule == 12 ? 2 : 1;
    static constexpr unsigned neighbours(unsigned level) {
        return granule == 12 ? 16 : granule == 14 && level == 0 ? 128 : 32;
    }

    static constexpr uint64_t valid = 1;
    static constexpr uint64_t page_or_table = 2;
    static constexpr uint64_t write_back = uint64_t{0xf} << 2;  // MemAttr: normal, inner and outer write-back
    static constexpr uint64_t s2ap_read = uint64_t{1} << 6, s2ap_write = uint64_t{2} << 6;
    static constexpr uint64_t inner_shareable = uint64_t{3} << 8;
    static constexpr uint64_t accessed = uint64_t{1} << 10;  // or the first access would be a fault
    static constexpr uint64_t contiguous = uint64_t{1} << 52;
    static constexpr uint64_t execute_never = uint64_t{2} << 53;  // XN = 10: neither at EL1 nor at EL0
    static constexpr uint64_t address_mask = 0x0000'ffff'ffff'ffff >> granule << granule;

    static constexpr uint64_t leaf(uint64_t address, unsigned level, Prot prot) {
        return (address & address_mask) | valid | (level == 0 ? page_or_table : 0) | write_back | s2ap_read |
               (prot.allows(writable) ? s2ap_write : 0) | inner_shareable | accessed |
               (prot.allows(executable) ? 0 : execute_never);
    }

    static constexpr uint64_t table(uint64_t address) {
        return (address & address_mask) | page_or_table | valid;
    }

    static constexpr Entry decode(uint64_t raw, unsigned level) {
        if (!(raw & valid)) return Nothing{};
        uint64_t address = raw & address_mask;
        bool second = raw & page_or_table;
        if (level > 0 && second) return TableAt{address};
        bool reserved = level == 0 ? !second : level > highest_leaf;  // treated as invalid
        if (reserved) return Nothing{};
        int prot = (raw & s2ap_read ? readable.bits : 0) | (raw & s2ap_write ? writable.bits : 0) |
                   (raw & execute_never ? 0 : executable.bits);
        return Leaf{address, Prot{static_cast<uint8_t>(prot)}};
    }
};

using ArmStage2 = ArmGranule<12>;  // the one that KVM runs this program with
using Arm16k = ArmGranule<14>;
using Arm64k = ArmGranule<16>;

static_assert(EntryFormat<ArmStage2> && has_usual_geometry<ArmStage2>() && reads_what_it_writes<ArmStage2>());
static_assert(EntryFormat<Arm16k> && reads_what_it_writes<Arm16k>() &&
              Geometry<Arm16k>::page(1) == Size{32u << 20});
static_assert(EntryFormat<Arm64k> && reads_what_it_writes<Arm64k>() &&
              Geometry<Arm64k>::page(1) == Size{512u << 20});
static_assert(ArmStage2::decode(ArmStage2::valid, 3) == Entry{Nothing{}});
static_assert(Arm16k::decode(Arm16k::valid, 2) == Entry{Nothing{}});
static_assert(ArmStage2::leaf(0x1'2345'6000, 0, read_write) == 0x0040'0001'2345'67ff);
static_assert(ArmStage2::leaf(0x1'2340'0000, 1, Prot{7}) == 0x1'2340'07fd);
static_assert(Arm64k::leaf(0x1'2345'0000, 0, Prot{7}) == 0x1'2345'07ff);

}  // namespace remap::stage2
