// What the values of a scenario's steps are made of: addresses, lengths, protections, flags.
#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>

#include "vmm/calls/call.h"
#include "vmm/config/toml_reader.h"

namespace gpremap {

inline constexpr std::string_view address_hint =
    "an address such as 17179869184, \"16GiB\", \"heap\" or \"heap+4KiB\"";

// An integer, a size, the name of a range, or one of the last two with a size added or subtracted.
Operand read_address(const TomlValue& value);

// The address under exactly one of `keys`, plus what stands under "offset". A "range" must be a name.
Operand read_place(const TomlTable& table, std::initializer_list<std::string_view> keys);

// The size under one of `keys`. Where none is there, what of the range at `at` lies behind it; it is
// an error if `at` names no range.
Operand read_length(const TomlTable& table, std::initializer_list<std::string_view> keys, const Operand& at);

// A name for a range: a letter or '_', then letters, digits, '_' and '.'.
std::string read_name(const TomlValue& value);

// "rw" -> GPREMAP_PROT_READ | GPREMAP_PROT_WRITE; "none" and "" -> 0.
uint64_t read_prot(const TomlValue& value);

// "rwx", "r"; "none" for no access.
std::string prot_name(uint64_t prot);

// ["MAYMOVE", "FIXED"], or an integer with the raw bits.
uint64_t read_flags(const TomlValue& value,
                    std::initializer_list<std::pair<std::string_view, uint64_t>> known);

// The one value among `keys` that is there, if any; two are an error.
std::optional<TomlValue> find_one(const TomlTable& table, std::initializer_list<std::string_view> keys);

}  // namespace gpremap
