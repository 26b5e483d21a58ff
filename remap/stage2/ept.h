// Intel's extended page tables (SDM volume 3, chapter "VMX support for address translation").
//
//      51                    12          7  6  5..3  2  1  0
//     [ address                 | ...  | L |    | MT | X| W| R]      leaf; L: a large page
//     [ address                 | ...  | 0 |    | 0  | 1| 1| 1]      table; all rights
#pragma once

#include "remap/stage2/entry_format.h"

namespace remap::stage2 {

struct Ept {
    static constexpr const char* name = "EPT";
    static constexpr unsigned levels = 4;
    static constexpr unsigned index_bits = 9;
    static constexpr unsigned page_shift = 12;
    static constexpr unsigned highest_leaf = 2;
    static constexpr uint64_t contiguous = 0;  // there is no such hint
    static constexpr unsigned neighbours(unsigned) { return 1; }

    static constexpr uint64_t read = 1, write = 2, execute = 4;
    static constexpr uint64_t rights = read | write | execute;
    static constexpr uint64_t write_back = uint64_t{6} << 3;
    static constexpr uint64_t large = uint64_t{1} << 7;
    static constexpr uint64_t address_mask = 0x000f'ffff'ffff'f000;

    // Writable and not readable is a misconfiguration.
    static constexpr uint64_t leaf(uint64_t address, unsigned level, Prot prot) {
        return (address & address_mask) | (level > 0 ? large : 0) | write_back | read |
               (prot.allows(writable) ? write : 0) | (prot.allows(executable) ? execute : 0);
    }

    static constexpr uint64_t table(uint64_t address) { return (address & address_mask) | rights; }

    static constexpr Entry decode(uint64_t raw, unsigned level) {
        if (!(raw & rights)) return Nothing{};
        uint64_t address = raw & address_mask;
        if (level > 0 && !(raw & large)) return TableAt{address};
        // Both are misconfigurations, which translate nothing.
        if (level > highest_leaf || !(raw & read)) return Nothing{};
        int prot = (raw & read ? readable.bits : 0) | (raw & write ? writable.bits : 0) |
                   (raw & execute ? executable.bits : 0);
        return Leaf{address, Prot{static_cast<uint8_t>(prot)}};
    }
};

static_assert(EntryFormat<Ept> && has_usual_geometry<Ept>() && reads_what_it_writes<Ept>());
static_assert(Ept::decode(Ept::large | Ept::rights, 3) == Entry{Nothing{}});
static_assert(Ept::decode(Ept::write, 0) == Entry{Nothing{}});
static_assert(Ept::leaf(0x1'2345'6000, 0, read_write) == 0x1'2345'6033);
static_assert(Ept::leaf(0x1'2340'0000, 1, Prot{7}) == 0x1'2340'00b7);

}  // namespace remap::stage2
