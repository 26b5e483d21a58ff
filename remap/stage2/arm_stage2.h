// ARM's stage 2, VMSAv8-64, 4 KiB granule, 48-bit addresses (Arm ARM, "VMSAv8-64 descriptor formats").
//
//      54 53    47        12   10  9  8  7  6  5    2  1  0
//     [ XN  |  | address    | |AF | SH  |S2AP|MemAttr| T| 1]     leaf; T: a page (level 0), not a block
//     [     0  | address    |                     0  | 1| 1]     table
#pragma once

#include "remap/stage2/entry_format.h"

namespace remap::stage2 {

struct ArmStage2 {
    static constexpr const char* name = "ARM stage 2";
    static constexpr unsigned levels = 4;
    static constexpr unsigned index_bits = 9;
    static constexpr unsigned page_shift = 12;
    static constexpr unsigned highest_leaf = 2;

    static constexpr uint64_t valid = 1;
    static constexpr uint64_t page_or_table = 2;
    static constexpr uint64_t write_back = uint64_t{0xf} << 2;  // MemAttr: normal, inner and outer write-back
    static constexpr uint64_t s2ap_read = uint64_t{1} << 6, s2ap_write = uint64_t{2} << 6;
    static constexpr uint64_t inner_shareable = uint64_t{3} << 8;
    static constexpr uint64_t accessed = uint64_t{1} << 10;       // or the first access would be a fault
    static constexpr uint64_t execute_never = uint64_t{2} << 53;  // XN = 10: neither at EL1 nor at EL0
    static constexpr uint64_t address_mask = 0x0000'ffff'ffff'f000;

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

static_assert(EntryFormat<ArmStage2> && has_usual_geometry<ArmStage2>() && reads_what_it_writes<ArmStage2>());
static_assert(ArmStage2::decode(ArmStage2::valid, 3) == Entry{Nothing{}});
static_assert(ArmStage2::leaf(0x1'2345'6000, 0, read_write) == 0x0040'0001'2345'67ff);
static_assert(ArmStage2::leaf(0x1'2340'0000, 1, Prot{7}) == 0x1'2340'07fd);

}  // namespace remap::stage2
