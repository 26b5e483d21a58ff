// Numbers that must not be mixed: guest-physical addresses, offsets in the backing object, sizes.
//
// None of them has operator+: whoever adds names the checked operation, and says thereby what happens
// at the end of the number space. All are in bytes.
#pragma once

#include <cassert>
#include <compare>
#include <cstdint>
#include <optional>

namespace remap {

struct Size {
    uint64_t bytes = 0;
    friend constexpr auto operator<=>(Size, Size) = default;
    constexpr bool is_multiple_of(Size unit) const { return bytes % unit.bytes == 0; }
};

inline constexpr Size kib4{uint64_t{4} << 10};
inline constexpr Size mib2{uint64_t{2} << 20};
inline constexpr Size gib1{uint64_t{1} << 30};

template <class Tag>
struct Address {
    uint64_t value = 0;

    friend constexpr auto operator<=>(Address, Address) = default;

    constexpr bool is_aligned(Size unit) const { return value % unit.bytes == 0; }

    // The address `size` further up, or nothing where that does not fit in 64 bits.
    constexpr std::optional<Address> checked_add(Size size) const {
        if (size.bytes > UINT64_MAX - value) return std::nullopt;
        return Address{value + size.bytes};
    }

    // The same where the caller knows that it fits.
    constexpr Address advanced(Size size) const {
        assert(size.bytes <= UINT64_MAX - value);
        return Address{value + size.bytes};
    }

    // How far this lies above `base`, which must not be above it.
    constexpr Size above(Address base) const {
        assert(value >= base.value);
        return Size{value - base.value};
    }

    constexpr bool is_congruent_to(uint64_t other, Size modulus) const {
        return value % modulus.bytes == other % modulus.bytes;
    }
};

using Gpa = Address<struct GpaTag>;        // guest-physical
using Offset = Address<struct OffsetTag>;  // in the one object that backs a VM's shareable pages

}  // namespace remap
