// What the values of calls and of a scenario's other steps are made of: addresses, lengths, protections,
// flags. How an address or a size is written differs between kinds of file; the rest is the same in all.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/calls/call.h"
#include "vmm/config/toml_reader.h"

namespace gpremap {

// How one kind of file writes addresses and sizes.
class Words {
  public:
    virtual ~Words() = default;
    // Both throw ConfigError, with what was expected.
    virtual Operand address(const TomlValue& value) const = 0;
    virtual Operand size(const TomlValue& value) const = 0;
    virtual std::string_view address_hint() const = 0;
    virtual std::string_view size_hint() const = 0;
    // Whether ranges have names. Arguments then have the keys that go with them, and follow from a name
    // where they are left out.
    virtual bool names_ranges() const = 0;
};

inline constexpr std::string_view address_hint =
    "an address such as 17179869184, \"16GiB\", \"heap\" or \"heap+4KiB\"";

// Of a scenario: everything is in bytes, and ranges have names. A call's size may also be a raw 64-bit value,
// for what is refused on purpose: "0xfffffffffffff000", or "-4096", which is the same.
class ScenarioWords : public Words {
  public:
    Operand address(const TomlValue& value) const override;
    Operand size(const TomlValue& value) const override;
    std::string_view address_hint() const override { return gpremap::address_hint; }
    std::string_view size_hint() const override;
    bool names_ranges() const override { return true; }
};

using Keys = std::vector<std::string_view>;

// "+64MiB" or "-64MiB", in bytes: a sign and a unit. Nothing where it is anything else: "-4096" is a raw value.
std::optional<int64_t> relative_size(const TomlValue& value);

// An integer, a size, the name of a range, or one of the last two with a size added or subtracted.
Operand read_address(const TomlValue& value);

// The address under exactly one of `keys`, plus what stands under "offset". A "range" must be a name.
Operand read_place(const TomlTable& table, const Keys& keys);

// The size under one of `keys`, not 0. Where none is there, what of the range at `at` lies behind it; it is
// an error if `at` names no range.
Operand read_length(const TomlTable& table, const Keys& keys, const Operand& at);

// What of the range that `at` names lies behind it. Where it names none, `keys` are missing from `table`.
Operand rest_of(const Operand& at, const TomlTable& table, const Keys& keys);

// A name for a range: a letter or '_', then letters, digits, '_' and '.'.
std::string read_name(const TomlValue& value);

// "rw", "rw-" -> GPREMAP_PROT_READ | GPREMAP_PROT_WRITE; "none", "---" and "" -> 0.
uint64_t read_prot(const TomlValue& value);

// "rwx", "r"; "none" for no access.
std::string prot_name(uint64_t prot);

// ["MAYMOVE", "FIXED"], or an integer with the raw bits.
uint64_t read_flags(const TomlValue& value, const std::vector<Word>& known);

// One of the words, or an integer with its value.
uint64_t read_word(const TomlValue& value, const std::vector<Word>& known);

// The one value among `keys` that is there, if any; two are an error.
std::optional<TomlValue> find_one(const TomlTable& table, const Keys& keys);

// Fails for keys of which one must be there: "missing 'range' or 'at'".
[[noreturn]] void fail_missing(const TomlTable& table, const Keys& keys, std::string_view expected);

}  // namespace gpremap
