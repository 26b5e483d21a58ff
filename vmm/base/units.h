// Sizes, addresses and times as people write and read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace gpremap {

// What parse_size reads, for messages.
inline constexpr std::string_view size_hint = "a size such as \"256MiB\" (units: B, KiB, MiB, GiB, TiB)";

// "256MiB", "4KiB", "17", "0x200000000" in bytes: all that format_size and format_address write. Units: B, KiB,
// MiB, GiB, TiB; one space may stand before the unit. Hexadecimal numbers have none.
// The error is what was expected in its place. 2^64 and more is an error.
tl::expected<uint64_t, std::string_view> parse_size(std::string_view text);

// The shortest exact way to write `bytes` as parse_size reads it: "256 MiB", "4097 B".
std::string format_size(uint64_t bytes);

// "2s", "1.5 ms" in seconds; one space may stand before the unit. The error is what was expected in its place.
tl::expected<double, std::string_view> parse_seconds(std::string_view text);

// An address, as all output has it: "0x400000000".
std::string format_address(uint64_t address);

// Nanoseconds as microseconds with one digit behind the point: "12.3".
std::string microseconds(uint64_t ns);

}  // namespace gpremap
