// The strict reader of this project's TOML files: scenarios and case files.
//
//     TomlFile file = TomlFile::read("quickstart.toml");
//     TomlTable vm = file.root().at("vm").table();
//     vm.only({"vcpus", "limit"});                         // any other key is an error
//     uint64_t limit = vm.size_or("limit", 4ull << 30);    // bytes
//
// Every function throws ConfigError when the file does not say what was asked for:
//
//     quickstart.toml:12: key 'vm.limit': expected a size such as "256MiB", got a boolean
//
// Tables and values keep the file alive that they were read from.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vmm/config/parameter.h"

namespace gpremap {

class TomlTable;

// Where a value stands, for messages.
struct TomlPlace {
    std::string file;
    unsigned line = 0;
    std::string key;        // dotted path, as 'step[2].map.size'
    std::string from = {};  // where the value comes from, if not from there: "parameter size"

    std::string prefix() const;                             // "FILE:LINE: key 'KEY' (FROM): "
    [[noreturn]] void fail(const std::string& what) const;  // ConfigError: prefix() + what
};

// What stands in a file in place of a text.
struct TomlReplacement {
    ParameterValue value;
    std::string from;  // for messages
};

// A file as it has been parsed, and what has been replaced in it since.
struct TomlDocument {
    struct Replaced {
        unsigned line;
        std::string from;
    };

    // Where `node` stands that is named `key` in the file's line `line`.
    TomlPlace place(const toml::node& node, const std::string& file, unsigned line, std::string key) const;

    toml::table root;
    std::map<const toml::node*, Replaced> replaced;
};

// One value and the place where it stands.
class TomlValue {
  public:
    const TomlPlace& place() const { return place_; }
    // The last part of its key: 'size' of 'step[2].map.size'. Empty for an element of an array.
    const std::string& name() const { return name_; }

    bool is_integer() const { return node_->is_integer(); }
    bool is_fraction() const { return node_->is_floating_point(); }
    bool is_text() const { return node_->is_string(); }
    bool is_boolean() const { return node_->is_boolean(); }
    bool is_table() const { return node_->is_table(); }
    bool is_array() const { return node_->is_array(); }

    std::string text() const;
    bool boolean() const;
    int64_t integer() const;
    uint64_t integer_in(uint64_t least, uint64_t most) const;
    double number() const;  // an integer or a fraction
    uint64_t size() const;  // bytes: a text for parse_size or an integer that is not negative
    TomlTable table() const;
    std::vector<TomlValue> array() const;
    std::vector<TomlTable> tables() const;   // an array of tables
    std::vector<std::string> words() const;  // an array of texts

    // The value that stands beside the text read, in a list such as {{"anon", Backing::anon}, ...}.
    template <typename T>
    T one_of(std::span<const std::pair<std::string_view, T>> choices) const;
    template <typename T>
    T one_of(std::initializer_list<std::pair<std::string_view, T>> choices) const;

    // The value as it was written, on one line: for summaries.
    std::string as_written() const;

    [[noreturn]] void expected(std::string_view what) const;  // "expected WHAT, got ..."
    [[noreturn]] void fail(const std::string& what) const { place_.fail(what); }

  private:
    friend class TomlFile;
    friend class TomlTable;
    TomlValue(std::shared_ptr<const TomlDocument> file, const toml::node& node, std::string name,
              TomlPlace place)
        : file_(std::move(file)), node_(&node), name_(std::move(name)), place_(std::move(place)) {}

    std::shared_ptr<const TomlDocument> file_;
    const toml::node* node_;
    std::string name_;
    TomlPlace place_;
};

class TomlTable {
  public:
    const TomlPlace& place() const { return place_; }

    // Throws for every key that is not listed, and names those that are.
    void only(std::span<const std::string_view> keys) const;
    void only(std::initializer_list<std::string_view> keys) const {
        only(std::span(keys.begin(), keys.size()));
    }

    bool has(std::string_view key) const { return table_->contains(key); }
    std::optional<TomlValue> find(std::string_view key) const;
    // As find, but the key must be there; `what` says what it should hold.
    TomlValue at(std::string_view key, std::string_view what = {}) const;
    // All values, in the order in which the file states them.
    std::vector<TomlValue> values() const;

    std::string text_or(std::string_view key, std::string fallback) const;
    uint64_t size_or(std::string_view key, uint64_t fallback) const;
    bool boolean_or(std::string_view key, bool fallback) const;

    [[noreturn]] void fail(const std::string& what) const { place_.fail(what); }

  private:
    friend class TomlFile;
    friend class TomlValue;
    TomlTable(std::shared_ptr<const TomlDocument> file, const toml::table& table, TomlPlace place)
        : file_(std::move(file)), table_(&table), place_(std::move(place)) {}

    std::shared_ptr<const TomlDocument> file_;
    const toml::table* table_;
    TomlPlace place_;
};

class TomlFile {
  public:
    static TomlFile read(const std::string& path);
    // For text that stands in no file; `name` takes the file's place in messages.
    static TomlFile parse(std::string_view text, const std::string& name);

    TomlTable root() const;

    using Replace = std::function<std::optional<TomlReplacement>(const TomlValue& text)>;
    // Has `replace` say for each text of the file, but for those below the root's keys `except`, what stands there
    // from now on; nothing leaves it. Tables and values that were read before are no longer good.
    void replace_texts(std::span<const std::string_view> except, const Replace& replace);

  private:
    TomlFile(std::shared_ptr<TomlDocument> file, std::string name)
        : file_(std::move(file)), name_(std::move(name)) {}

    // `value` is the one that `parent` has, if that is an array, at `index`.
    void replace_in(toml::node& parent, size_t index, const TomlValue& value, const Replace& replace);

    std::shared_ptr<TomlDocument> file_;
    std::string name_;
};

// "anon", "memfd": with the quotes.
template <typename T>
std::string names_of(std::span<const std::pair<std::string_view, T>> choices) {
    std::string names;
    for (const auto& [name, value] : choices)
        names += (names.empty() ? "\"" : ", \"") + std::string(name) + "\"";
    return names;
}

template <typename T>
T TomlValue::one_of(std::span<const std::pair<std::string_view, T>> choices) const {
    for (const auto& [name, value] : choices)
        if (is_text() && text() == name) return value;
    expected((choices.size() == 1 ? "" : "one of ") + names_of(choices));
}

template <typename T>
T TomlValue::one_of(std::initializer_list<std::pair<std::string_view, T>> choices) const {
    return one_of(std::span<const std::pair<std::string_view, T>>(choices.begin(), choices.size()));
}

}  // namespace gpremap
