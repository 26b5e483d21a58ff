#include "vmm/calls/words.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <optional>
#include <string>

#include "vmm/base/units.h"

namespace gpremap {

namespace {

bool is_name(std::string_view text) {
    auto may_begin = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; };
    auto may_follow = [&](char c) {
        return may_begin(c) || std::isdigit(static_cast<unsigned char>(c)) || c == '.';
    };
    return !text.empty() && may_begin(text[0]) && std::all_of(text.begin(), text.end(), may_follow);
}

// "heap+4KiB" -> "heap", '+', "4KiB"
struct Sum {
    std::string_view base;
    char sign = '+';
    std::string_view offset = "0";
};

Sum split_sum(std::string_view text) {
    size_t sign = text.find_first_of("+-", 1);
    if (sign == std::string_view::npos) return {text};
    return {text.substr(0, sign), text[sign], text.substr(sign + 1)};
}

std::string join(const Keys& keys) {
    std::string all;
    for (std::string_view key : keys) all += (all.empty() ? "'" : " or '") + std::string(key) + "'";
    return all;
}

// A size, or hexadecimal as reports print it.
std::optional<uint64_t> parse_bytes(std::string_view text) {
    if (!text.starts_with("0x")) {
        const auto bytes = parse_size(text);
        return bytes ? std::optional(*bytes) : std::nullopt;
    }
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), value, 16);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

// "-4096" is the same as "0xfffffffffffff000".
std::optional<uint64_t> parse_raw(std::string_view text) {
    const bool is_negative = text.starts_with('-');
    const auto bytes = parse_bytes(is_negative ? text.substr(1) : text);
    if (!bytes) return std::nullopt;
    return is_negative ? 0 - *bytes : *bytes;
}

}  // namespace

Operand ScenarioWords::address(const TomlValue& value) const {
    return read_address(value);
}

std::string_view ScenarioWords::size_hint() const {
    return "a size such as \"256MiB\" (units: B, KiB, MiB, GiB, TiB), or a raw value such as "
           "\"0xfffffffffffff000\" or \"-4096\"";
}

Operand ScenarioWords::size(const TomlValue& value) const {
    const auto bytes = value.is_integer() ? std::optional(static_cast<uint64_t>(value.integer()))
                       : value.is_text()  ? parse_raw(value.text())
                                          : std::nullopt;
    if (!bytes) value.expected(size_hint());
    return {Operand::Kind::number, "", *bytes, value.place()};
}

std::optional<int64_t> relative_size(const TomlValue& value) {
    if (!value.is_text()) return std::nullopt;
    const std::string text = value.text();
    const bool has_sign = text.starts_with('+') || text.starts_with('-');
    if (!has_sign || !text.ends_with('B') || text.substr(1).starts_with("0x")) return std::nullopt;
    const auto bytes = parse_size(text.substr(1));
    if (!bytes || *bytes > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
        value.expected("a size to add or to take off, such as \"+64MiB\" or \"-64MiB\"");
    return text.starts_with('-') ? -static_cast<int64_t>(*bytes) : static_cast<int64_t>(*bytes);
}

Operand read_address(const TomlValue& value) {
    if (value.is_integer()) return {Operand::Kind::number, "", value.size(), value.place()};
    if (!value.is_text()) value.expected(address_hint);
    std::string text = value.text();
    if (text.empty()) value.expected(address_hint);
    Sum sum = split_sum(text);
    auto offset = parse_bytes(sum.offset);
    if (!offset) value.expected(address_hint);
    uint64_t added = sum.sign == '+' ? *offset : 0 - *offset;
    if (is_name(sum.base)) return {Operand::Kind::address_of, std::string(sum.base), added, value.place()};
    auto base = parse_bytes(sum.base);
    if (!base) value.expected(address_hint);
    return {Operand::Kind::number, "", *base + added, value.place()};
}

std::optional<TomlValue> find_one(const TomlTable& table, const Keys& keys) {
    std::optional<TomlValue> found;
    for (std::string_view key : keys) {
        auto value = table.find(key);
        if (value && found) value->fail("says the same as '" + found->name() + "'; one of them is enough");
        if (value) found = value;
    }
    return found;
}

void fail_missing(const TomlTable& table, const Keys& keys, std::string_view expected) {
    if (keys.size() == 1) table.at(keys[0], expected);  // tells the whole key
    table.fail("missing " + join(keys) + "; expected " + std::string(expected));
}

Operand read_place(const TomlTable& table, const Keys& keys) {
    auto value = find_one(table, keys);
    if (!value) fail_missing(table, keys, address_hint);
    Operand place = read_address(*value);
    if (value->name() == "range" && (place.kind != Operand::Kind::address_of || place.offset != 0))
        value->expected("the name of a range (a letter first); an address goes under another key");
    if (auto offset = table.find("offset")) {
        place.offset += offset->size();
        place.place = offset->place();
    }
    return place;
}

Operand rest_of(const Operand& at, const TomlTable& table, const Keys& keys) {
    if (at.kind != Operand::Kind::address_of) fail_missing(table, keys, size_hint);
    return {Operand::Kind::size_of, at.range, at.offset, at.place};
}

Operand read_length(const TomlTable& table, const Keys& keys, const Operand& at) {
    auto value = find_one(table, keys);
    if (!value) return rest_of(at, table, keys);
    if (value->size() == 0) value->expected("a size that is not 0");
    return {Operand::Kind::number, "", value->size(), value->place()};
}

std::string read_name(const TomlValue& value) {
    if (!value.is_text() || !is_name(value.text()))
        value.expected("a name: a letter or '_', then letters, digits, '_' and '.'");
    return value.text();
}

// A dash may hold the place of what is not granted: "r--".
uint64_t read_prot(const TomlValue& value) {
    const std::string_view hint = "a protection: letters of \"rwx\", each once, or \"none\"";
    if (!value.is_text()) value.expected(hint);
    std::string text = value.text();
    if (text == "none") return 0;
    uint64_t prot = 0;
    for (char letter : text) {
        uint64_t bit = letter == 'r'   ? GPREMAP_PROT_READ
                       : letter == 'w' ? GPREMAP_PROT_WRITE
                       : letter == 'x' ? GPREMAP_PROT_EXEC
                                       : 0;
        if ((bit == 0 && letter != '-') || (prot & bit)) value.expected(hint);
        prot |= bit;
    }
    return prot;
}

std::string prot_name(uint64_t prot) {
    std::string name;
    if (prot & GPREMAP_PROT_READ) name += 'r';
    if (prot & GPREMAP_PROT_WRITE) name += 'w';
    if (prot & GPREMAP_PROT_EXEC) name += 'x';
    return name.empty() ? "none" : name;
}

uint64_t read_flags(const TomlValue& value, const std::vector<Word>& known) {
    if (value.is_integer()) return static_cast<uint64_t>(value.integer());
    if (!value.is_array() || known.empty())
        value.expected((known.empty() ? "" : "a list of " + names_of(std::span(known)) + ", or ") +
                       "an integer of raw bits");
    uint64_t flags = 0;
    for (const TomlValue& word : value.array()) flags |= word.one_of(std::span(known));
    return flags;
}

uint64_t read_word(const TomlValue& value, const std::vector<Word>& known) {
    if (value.is_integer()) return static_cast<uint64_t>(value.integer());
    return value.one_of(std::span(known));
}

}  // namespace gpremap
