#include "vmm/calls/words.h"

#include <algorithm>
#include <cctype>
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

std::string join(std::initializer_list<std::string_view> keys) {
    std::string all;
    for (std::string_view key : keys) all += (all.empty() ? "'" : " or '") + std::string(key) + "'";
    return all;
}

}  // namespace

Operand read_address(const TomlValue& value) {
    if (value.is_integer()) return {Operand::Kind::number, "", value.size(), value.place()};
    if (!value.is_text()) value.expected(address_hint);
    std::string text = value.text();
    if (text.empty()) value.expected(address_hint);
    Sum sum = split_sum(text);
    auto offset = parse_size(sum.offset);
    if (!offset) value.expected(address_hint);
    uint64_t added = sum.sign == '+' ? *offset : 0 - *offset;
    if (is_name(sum.base)) return {Operand::Kind::address_of, std::string(sum.base), added, value.place()};
    auto base = parse_size(sum.base);
    if (!base) value.expected(address_hint);
    return {Operand::Kind::number, "", *base + added, value.place()};
}

std::optional<TomlValue> find_one(const TomlTable& table, std::initializer_list<std::string_view> keys) {
    std::optional<TomlValue> found;
    for (std::string_view key : keys) {
        auto value = table.find(key);
        if (value && found) value->fail("says the same as '" + found->name() + "'; one of them is enough");
        if (value) found = value;
    }
    return found;
}

Operand read_place(const TomlTable& table, std::initializer_list<std::string_view> keys) {
    auto value = find_one(table, keys);
    if (!value) table.fail("missing " + join(keys));
    Operand place = read_address(*value);
    if (value->name() == "range" && (place.kind != Operand::Kind::address_of || place.offset != 0))
        value->expected("the name of a range (a letter first); an address goes under another key");
    if (auto offset = table.find("offset")) {
        place.offset += offset->size();
        place.place = offset->place();
    }
    return place;
}

Operand read_length(const TomlTable& table, std::initializer_list<std::string_view> keys, const Operand& at) {
    if (auto value = find_one(table, keys)) return {Operand::Kind::number, "", value->size(), value->place()};
    if (at.kind != Operand::Kind::address_of) table.fail("missing " + join(keys) + ", the length in bytes");
    return {Operand::Kind::size_of, at.range, at.offset, at.place};
}

std::string read_name(const TomlValue& value) {
    if (!value.is_text() || !is_name(value.text()))
        value.expected("a name: a letter or '_', then letters, digits, '_' and '.'");
    return value.text();
}

uint64_t read_prot(const TomlValue& value) {
    if (!value.is_text()) value.expected("a protection such as \"rw\"");
    std::string text = value.text();
    if (text == "none") return 0;
    uint64_t prot = 0;
    for (char letter : text) {
        uint64_t bit = letter == 'r'   ? GPREMAP_PROT_READ
                       : letter == 'w' ? GPREMAP_PROT_WRITE
                       : letter == 'x' ? GPREMAP_PROT_EXEC
                                       : 0;
        if (bit == 0 || (prot & bit)) value.expected("letters of \"rwx\", each once, or \"none\"");
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

uint64_t read_flags(const TomlValue& value,
                    std::initializer_list<std::pair<std::string_view, uint64_t>> known) {
    if (value.is_integer()) return static_cast<uint64_t>(value.integer());
    if (!value.is_array())
        value.expected("a list of " + names_of(std::span(known.begin(), known.size())) +
                       ", or an integer of raw bits");
    uint64_t flags = 0;
    for (const TomlValue& word : value.array()) flags |= word.one_of<uint64_t>(known);
    return flags;
}

}  // namespace gpremap
