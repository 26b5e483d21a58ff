#include "vmm/control/arguments.h"

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <sstream>
#include <string>

#include "vmm/base/errors.h"
#include "vmm/calls/reading.h"
#include "vmm/calls/words.h"
#include "vmm/control/protocol.h"

namespace gpremap {

namespace {

constexpr std::string_view no_file = "arguments";

// What a reader of files says, without the place: there is no file.
CallError without_place(const ConfigError& error) {
    const std::string text = error.what();
    const size_t end = text.find(": ");
    const bool has_place = text.starts_with(no_file) && end != std::string::npos;
    return {ErrorCode::bad_arguments, has_place ? text.substr(end + 2) : text};
}

// Calls `read`, whose ConfigError is the client's.
auto for_client(auto read) {
    try {
        return read();
    } catch (const ConfigError& error) {
        throw without_place(error);
    }
}

toml::table table_of(const JsonObject& json);
toml::array array_of(const JsonObject& json);

// A number beyond TOML's is a text that stands for it in files, too. Calls `put` with the value.
void convert(const std::string& key, const JsonObject& json, auto put) {
    constexpr auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    if (json.is_number_unsigned() && json.get<uint64_t>() > most)
        put(fmt::format("{:#x}", json.get<uint64_t>()));
    else if (json.is_number_integer())
        put(json.get<int64_t>());
    else if (json.is_boolean())
        put(json.get<bool>());
    else if (json.is_string())
        put(json.get<std::string>());
    else if (json.is_object())
        put(table_of(json));
    else if (json.is_array())
        put(array_of(json));
    else
        throw CallError(ErrorCode::bad_arguments, key + ": expected a whole number, a text or true or false");
}

toml::table table_of(const JsonObject& json) {
    toml::table table;
    for (const auto& item : json.items())
        convert(item.key(), item.value(),
                [&](auto converted) { table.insert(item.key(), std::move(converted)); });
    return table;
}

toml::array array_of(const JsonObject& json) {
    toml::array array;
    for (const JsonObject& each : json)
        convert("a list", each, [&](auto converted) { array.push_back(std::move(converted)); });
    return array;
}

// `json` as the one value of a file, on one line.
TomlValue value_in_file(const JsonObject& json, const std::string& key) {
    JsonObject root = JsonObject::object();
    root[key] = json;
    toml::table table = table_of(root);
    std::ostringstream text;
    if (toml::table* inner = table.begin()->second.as_table()) inner->is_inline(true);
    text << table;
    return *TomlFile::parse(text.str(), std::string(no_file)).root().find(key);
}

}  // namespace

CallAction read_action(const CallRow& row, const JsonObject& arguments) {
    return for_client(
        [&] { return read_call(row, value_in_file(arguments, std::string(row.verb)), ScenarioWords()); });
}

BatchAction read_batch_action(const JsonObject& arguments) {
    return for_client([&] {
        return read_batch(value_in_file(arguments.at("calls"), "calls"), ScenarioWords(), 1,
                          GPREMAP_MAX_BATCH);
    });
}

Span read_span(const JsonObject& arguments) {
    return for_client([&] {
        const TomlTable table = value_in_file(arguments, "query").table();
        const Operand at = read_place(table, {"range", "at"});
        return Span{at, read_length(table, {"size", "len"}, at)};
    });
}

uint64_t size_or(const JsonObject& arguments, const std::string& key, uint64_t otherwise) {
    const auto found = arguments.find(key);
    if (found == arguments.end()) return otherwise;
    return for_client([&] { return value_in_file(*found, key).size(); });
}

uint64_t value_of(const Operand& operand, const Names& names) {
    return for_client([&] { return operand.in(names); });
}

std::vector<uint64_t> values_of(const CallAction& action, const Names& names) {
    std::vector<uint64_t> values;
    for (const Argument& argument : action.args) values.push_back(value_of(argument.value, names));
    return values;
}

}  // namespace gpremap
