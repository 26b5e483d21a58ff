// The loads and stores of A64: all of the base, of SIMD and of LSE. Not decoded are those of SVE, of memory tags, of
// authenticated addresses and of 64 bytes; the program that uses them has to be told by the address that KVM has.
//
// A decoder of our own: it takes a table of some twenty encodings, and what libraries for A64 say of an operand is
// neither how many bytes it has nor, for atomics, whether it is written.
#include <algorithm>
#include <array>
#include <cstring>

#include "vmm/vcpus/instruction.h"

namespace gpremap {
namespace {

constexpr uint64_t page_size = 4096;
constexpr uint64_t instruction_size = 4;

// One instruction, and the registers before it.
class Instruction {
  public:
    Instruction(uint32_t word, const kvm_regs& regs) : word_(word), regs_(regs) {}

    // The data that it accesses, not split at pages; nothing where it accesses none, or is not known.
    std::optional<Access> access() const {
        for (const Encoding& encoding : encodings)
            if ((word_ & encoding.mask) == encoding.value) return (this->*encoding.decode)();
        return std::nullopt;
    }

  private:
    using Decoded = std::optional<Access>;
    // The first that fits counts.
    struct Encoding {
        uint32_t mask;
        uint32_t value;
        Decoded (Instruction::*decode)() const;
    };
    static const std::array<Encoding, 18> encodings;

    uint32_t field(unsigned low, unsigned bits) const { return word_ >> low & ((1u << bits) - 1); }
    bool bit(unsigned number) const { return field(number, 1) != 0; }
    uint64_t immediate(unsigned low, unsigned bits) const {
        const uint64_t sign = 1ull << (bits - 1);
        return (field(low, bits) ^ sign) - sign;
    }
    // Number 31 is sp in a base, and zero as an offset.
    uint64_t base() const { return field(5, 5) == 31 ? regs_.regs.sp : regs_.regs.regs[field(5, 5)]; }
    uint64_t offset_register() const { return field(16, 5) == 31 ? 0 : regs_.regs.regs[field(16, 5)]; }
    uint64_t address_operand() const { return field(0, 5) == 31 ? 0 : regs_.regs.regs[field(0, 5)]; }

    static Decoded made(uint64_t address, uint64_t size, bool reads) {
        return Access{address, size, reads ? abi::FaultKind::read : abi::FaultKind::write};
    }

    bool is_vector() const { return bit(26); }
    // Of one register, in bytes.
    uint64_t register_size() const { return is_vector() && bit(23) ? 16 : 1ull << field(30, 2); }
    bool register_is_loaded() const { return is_vector() ? bit(22) : field(22, 2) != 0; }
    bool is_prefetch() const { return !is_vector() && field(30, 2) == 3 && field(22, 2) == 2; }
    Decoded of_register(uint64_t address) const {
        if (is_prefetch()) return std::nullopt;
        return made(address, register_size(), register_is_loaded());
    }

    Decoded several_structures() const {
        static constexpr uint64_t registers[] = {4, 0, 4, 0, 3, 0, 3, 1, 2, 0, 2, 0, 0, 0, 0, 0};
        const uint64_t size = registers[field(12, 4)] * (bit(30) ? 16 : 8);
        return size ? made(base(), size, bit(22)) : std::nullopt;
    }
    Decoded one_structure() const {
        const uint64_t elements = (field(13, 1) << 1 | field(21, 1)) + 1;
        const uint32_t scale = field(14, 2);
        const uint64_t element = scale == 3   ? 1ull << field(10, 2)
                                 : scale == 2 ? (bit(10) ? 8 : 4)
                                              : 1ull << scale;
        return made(base(), elements * element, bit(22));
    }
    // Exclusive, or with acquire and release.
    Decoded ordered() const { return made(base(), 1ull << field(30, 2), bit(22)); }
    Decoded exclusive_pair() const { return made(base(), 2ull << field(30, 2), bit(22)); }
    Decoded compare_and_swap() const { return made(base(), 1ull << field(30, 2), false); }
    Decoded compare_and_swap_pair() const { return made(base(), 8ull << field(30, 1), false); }
    Decoded ordered_with_offset() const {
        return made(base() + immediate(12, 9), 1ull << field(30, 2), field(22, 2) != 0);
    }
    Decoded literal() const {
        if (!is_vector() && field(30, 2) == 3) return std::nullopt;
        const uint64_t size = is_vector() ? 4ull << field(30, 2) : field(30, 2) == 1 ? 8 : 4;
        return made(regs_.regs.pc + immediate(5, 19) * 4, size, true);
    }
    Decoded pair() const {
        const bool after = field(23, 2) == 1;
        const uint64_t each = is_vector() ? 4ull << field(30, 2) : field(30, 2) == 2 ? 8 : 4;
        return made(base() + (after ? 0 : immediate(15, 7) * each), 2 * each, bit(22));
    }
    Decoded with_scaled_offset() const { return of_register(base() + field(10, 12) * register_size()); }
    Decoded with_offset() const {
        const bool after = field(10, 2) == 1;
        return of_register(base() + (after ? 0 : immediate(12, 9)));
    }
    Decoded with_register_offset() const {
        uint64_t offset = offset_register();
        if (field(13, 3) == 2) offset = static_cast<uint32_t>(offset);
        if (field(13, 3) == 6) offset = static_cast<uint64_t>(int64_t{static_cast<int32_t>(offset)});
        return of_register(base() + (bit(12) ? offset * register_size() : offset));
    }
    // LSE; the one with bit 15 and operation 4 is a load that acquires.
    Decoded atomic() const {
        const bool loads = bit(15) && field(12, 3) == 4;
        if (bit(15) && !loads && field(12, 3) != 0) return std::nullopt;
        return made(base(), 1ull << field(30, 2), loads);
    }
    Decoded zero_block() const {
        constexpr uint64_t block = 64;
        return made(address_operand() & ~(block - 1), block, false);
    }
    Decoded cache_maintenance() const { return made(address_operand(), 1, true); }

    const uint32_t word_;
    const kvm_regs& regs_;
};

const std::array<Instruction::Encoding, 18> Instruction::encodings = {{
    {0xbfbf0000, 0x0c000000, &Instruction::several_structures},
    {0xbfa00000, 0x0c800000, &Instruction::several_structures},
    {0xbf9f0000, 0x0d000000, &Instruction::one_structure},
    {0xbf800000, 0x0d800000, &Instruction::one_structure},
    {0x3fa00000, 0x08000000, &Instruction::ordered},
    {0xbfa00000, 0x88200000, &Instruction::exclusive_pair},
    {0xbfa00000, 0x08200000, &Instruction::compare_and_swap_pair},
    {0x3fa00000, 0x08800000, &Instruction::ordered},
    {0x3fa00000, 0x08a00000, &Instruction::compare_and_swap},
    {0x3b000000, 0x18000000, &Instruction::literal},
    {0x3f200c00, 0x19000000, &Instruction::ordered_with_offset},
    {0x3a000000, 0x28000000, &Instruction::pair},
    {0x3b000000, 0x39000000, &Instruction::with_scaled_offset},
    {0x3b200000, 0x38000000, &Instruction::with_offset},
    {0x3b200c00, 0x38200800, &Instruction::with_register_offset},
    {0x3f200c00, 0x38200000, &Instruction::atomic},
    {0xffffffe0, 0xd50b7420, &Instruction::zero_block},
    // ic ivau, and dc cvac, cvau, cvap and civac, by their bits 11 ... 8
    {0xfffff0e0, 0xd50b7020, &Instruction::cache_maintenance},
}};

void add_split_at_pages(std::vector<Access>& list, Access access) {
    while (access.size) {
        uint64_t here = std::min(access.size, page_size - access.address % page_size);
        list.push_back({access.address, here, access.kind});
        access.address += here;
        access.size -= here;
    }
}

}  // namespace

std::vector<Access> locate(const kvm_regs& regs, std::span<const std::byte> code) {
    std::vector<Access> list;
    add_split_at_pages(list, {regs.regs.pc, instruction_size, abi::FaultKind::execute});
    if (code.size() < instruction_size) return list;
    uint32_t word;
    std::memcpy(&word, code.data(), sizeof word);
    if (auto access = Instruction(word, regs).access()) add_split_at_pages(list, *access);
    return list;
}

}  // namespace gpremap
