#include "vmm/config/toml_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "vmm/base/errors.h"
#include "vmm/base/text_file.h"
#include "vmm/base/units.h"

namespace gpremap {

namespace {

std::string quoted(std::string_view text) {
    return "\"" + std::string(text) + "\"";
}

unsigned line_of(const toml::node& node, unsigned otherwise) {
    unsigned line = static_cast<unsigned>(node.source().begin.line);
    return line ? line : otherwise;  // tables that only a dotted key implies stand nowhere
}

std::string describe(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::string:
            return quoted(node.ref<std::string>());
        case toml::node_type::integer:
            return std::to_string(node.ref<int64_t>());
        case toml::node_type::floating_point:
            return "a fraction";
        case toml::node_type::boolean:
            return node.ref<bool>() ? "true" : "false";
        case toml::node_type::table:
            return "a table";
        case toml::node_type::array:
            return "an array";
        default:
            return "a date or time";
    }
}

std::string child_key(const std::string& parent, std::string_view key) {
    return parent.empty() ? std::string(key) : parent + "." + std::string(key);
}

std::string listed(std::span<const std::string_view> keys) {
    std::string all;
    for (std::string_view key : keys) all += (all.empty() ? "" : ", ") + std::string(key);
    return all;
}

// Behind the string that begins at `begin`. Quotes right behind its end are its last letters: nothing else
// may stand there.
size_t end_of_string(std::string_view text, size_t begin) {
    const char quote = text[begin];
    const std::string three(3, quote), end = text.substr(begin).starts_with(three) ? three : three.substr(2);
    size_t at = begin + end.size();
    while (at < text.size() && !text.substr(at).starts_with(end))
        at += text[at] == '\\' && quote == '"' ? 2 : 1;
    return text.find_first_not_of(quote, at);
}

[[noreturn]] void fail_at(std::string_view text, size_t at, const std::string& name,
                          const std::string& what) {
    throw ConfigError(
        fmt::format("{}:{}: {}", name, 1 + std::count(text.begin(), text.begin() + at, '\n'), what));
}

// What toml++ should refuse and does not, outside of strings and comments.
// - Keys of many parts: it makes a table of each, and destroys them recursively. How deep values are nested
//   it limits. Only keys have several dots there.
// - A byte order mark that is not the first character: two files made one.
void refuse_what_the_parser_lets_pass(std::string_view text, const std::string& name) {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    constexpr std::string_view marks = ".=,[]{}\n\"'#\xef";
    constexpr size_t most_parts = 16;
    size_t parts = 1;
    for (size_t at = text.find_first_of(marks); at < text.size(); at = text.find_first_of(marks, at)) {
        const char mark = text[at];
        if (mark == '#') {
            at = text.find('\n', at);
        } else if (mark == '"' || mark == '\'') {
            at = end_of_string(text, at);
        } else if (mark == byte_order_mark.front()) {
            if (at > 0 && text.substr(at).starts_with(byte_order_mark))
                fail_at(text, at, name, "not TOML: a byte order mark; expected it at the file's begin alone");
            at++;
        } else {
            parts = mark == '.' ? parts + 1 : 1;
            at++;
        }
        if (parts > most_parts)
            fail_at(text, at, name,
                    fmt::format("a key of more than {} parts; expected one such as vm.limit", most_parts));
    }
}

std::shared_ptr<TomlDocument> parse_toml(std::string_view text, const std::string& name) {
    refuse_what_the_parser_lets_pass(text, name);
    try {
        return std::make_shared<TomlDocument>(TomlDocument{toml::parse(text, name), {}});
    } catch (const toml::parse_error& error) {
        throw ConfigError(name + ":" + std::to_string(error.source().begin.line) +
                          ": not TOML: " + std::string(error.description()));
    }
}

}  // namespace

std::string TomlPlace::prefix() const {
    std::string where = file + ":" + std::to_string(line) + ": ";
    if (key.empty()) return where;
    return where + "key '" + key + "'" + (from.empty() ? "" : " (" + from + ")") + ": ";
}

void TomlPlace::fail(const std::string& what) const {
    throw ConfigError(prefix() + what);
}

TomlPlace TomlDocument::place(const toml::node& node, const std::string& file, unsigned line,
                              std::string key) const {
    const auto found = replaced.find(&node);
    if (found == replaced.end()) return {file, line, std::move(key)};
    return {file, found->second.line, std::move(key), found->second.from};
}

void TomlValue::expected(std::string_view what) const {
    fail("expected " + std::string(what) + ", got " + describe(*node_));
}

std::string TomlValue::text() const {
    if (!is_text()) expected("a text in quotes");
    return node_->ref<std::string>();
}

bool TomlValue::boolean() const {
    if (!is_boolean()) expected("true or false");
    return node_->ref<bool>();
}

int64_t TomlValue::integer() const {
    if (!is_integer()) expected("an integer");
    return node_->ref<int64_t>();
}

uint64_t TomlValue::integer_in(uint64_t least, uint64_t most) const {
    std::string range = "an integer from " + std::to_string(least) + " to " + std::to_string(most);
    if (!is_integer() || node_->ref<int64_t>() < 0) expected(range);
    uint64_t value = static_cast<uint64_t>(node_->ref<int64_t>());
    if (value < least || value > most) expected(range);
    return value;
}

double TomlValue::number() const {
    if (is_integer()) return static_cast<double>(node_->ref<int64_t>());
    if (!node_->is_floating_point()) expected("a number");
    return node_->ref<double>();
}

uint64_t TomlValue::size() const {
    if (is_integer() && node_->ref<int64_t>() >= 0) return static_cast<uint64_t>(node_->ref<int64_t>());
    if (!is_text()) expected(size_hint);
    auto bytes = parse_size(node_->ref<std::string>());
    if (!bytes) expected(bytes.error());
    return *bytes;
}

TomlTable TomlValue::table() const {
    if (!is_table()) expected("a table");
    return TomlTable(file_, *node_->as_table(), place_);
}

std::vector<TomlValue> TomlValue::array() const {
    if (!is_array()) expected("an array");
    std::vector<TomlValue> values;
    for (const toml::node& element : *node_->as_array()) {
        TomlPlace place = file_->place(element, place_.file, line_of(element, place_.line),
                                       place_.key + "[" + std::to_string(values.size()) + "]");
        values.push_back(TomlValue(file_, element, "", std::move(place)));
    }
    return values;
}

std::vector<TomlTable> TomlValue::tables() const {
    std::vector<TomlTable> tables;
    for (const TomlValue& value : array()) tables.push_back(value.table());
    return tables;
}

std::vector<std::string> TomlValue::words() const {
    std::vector<std::string> words;
    for (const TomlValue& value : array()) words.push_back(value.text());
    return words;
}

std::string TomlValue::as_written() const {
    if (is_text()) return node_->ref<std::string>();
    if (node_->is_floating_point())
        return fmt::format("{}", node_->ref<double>());  // the shortest that is exact
    std::ostringstream out;
    if (!is_array()) {
        out << toml::toml_formatter(*node_);
        return out.str();
    }
    for (const TomlValue& element : array()) out << (out.tellp() > 0 ? "|" : "") << element.as_written();
    return out.str();
}

void TomlTable::only(std::span<const std::string_view> keys) const {
    for (const TomlValue& value : values()) {
        if (std::ranges::find(keys, value.name()) == keys.end())
            value.fail("unknown key; known here: " + listed(keys));
    }
}

std::optional<TomlValue> TomlTable::find(std::string_view key) const {
    auto found = table_->find(key);
    if (found == table_->end()) return std::nullopt;
    // A key that heads a table of its own ([vm]) has the line of that head.
    unsigned key_line = static_cast<unsigned>(found->first.source().begin.line);
    TomlPlace place =
        file_->place(found->second, place_.file, key_line ? key_line : line_of(found->second, place_.line),
                     child_key(place_.key, key));
    return TomlValue(file_, found->second, std::string(key), std::move(place));
}

TomlValue TomlTable::at(std::string_view key, std::string_view what) const {
    if (auto value = find(key)) return *value;
    TomlPlace place{place_.file, place_.line, child_key(place_.key, key)};
    place.fail("missing" + (what.empty() ? std::string() : "; expected " + std::string(what)));
}

std::vector<TomlValue> TomlTable::values() const {
    struct Placed {
        toml::source_position at;
        TomlValue value;
    };
    std::vector<Placed> placed;
    for (const auto& [key, node] : *table_) placed.push_back({key.source().begin, *find(key.str())});
    std::stable_sort(placed.begin(), placed.end(),
                     [](const Placed& a, const Placed& b) { return a.at < b.at; });
    std::vector<TomlValue> values;
    for (Placed& one : placed) values.push_back(std::move(one.value));
    return values;
}

std::string TomlTable::text_or(std::string_view key, std::string fallback) const {
    auto value = find(key);
    return value ? value->text() : fallback;
}

uint64_t TomlTable::size_or(std::string_view key, uint64_t fallback) const {
    auto value = find(key);
    return value ? value->size() : fallback;
}

bool TomlTable::boolean_or(std::string_view key, bool fallback) const {
    auto value = find(key);
    return value ? value->boolean() : fallback;
}

TomlFile TomlFile::read(const std::string& path) {
    return parse(read_text(path), path);
}

TomlFile TomlFile::parse(std::string_view text, const std::string& name) {
    return TomlFile(parse_toml(text, name), name);
}

TomlTable TomlFile::root() const {
    return TomlTable(file_, file_->root, TomlPlace{name_, 1, ""});
}

void TomlFile::replace_texts(std::span<const std::string_view> except, const Replace& replace) {
    for (const TomlValue& value : root().values())
        if (std::ranges::find(except, value.name()) == except.end())
            replace_in(file_->root, 0, value, replace);
}

void TomlFile::replace_in(toml::node& parent, size_t index, const TomlValue& value, const Replace& replace) {
    toml::node& node = const_cast<toml::node&>(*value.node_);  // this document's, which is not constant
    if (value.is_table())
        for (const TomlValue& child : value.table().values()) replace_in(node, 0, child, replace);
    size_t at = 0;
    if (value.is_array())
        for (const TomlValue& child : value.array()) replace_in(node, at++, child, replace);
    if (!value.is_text()) return;
    const auto by = replace(value);
    if (!by) return;
    auto put = [&](const auto& scalar) -> const toml::node* {
        if (toml::table* table = parent.as_table()) {
            table->insert_or_assign(value.name(), scalar);
            return table->get(value.name());
        }
        toml::array& array = *parent.as_array();
        return &*array.replace(array.cbegin() + static_cast<ptrdiff_t>(index), scalar);
    };
    file_->replaced[std::visit(put, by->value)] = {value.place().line, by->from};
}

}  // namespace gpremap
