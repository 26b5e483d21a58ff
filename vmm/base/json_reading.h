// JSON that others wrote.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "vmm/base/errors.h"
#include "vmm/base/json_file.h"

namespace gpremap {

// Arrays and objects inside of each other. The library prints, compares and copies them by functions that call
// themselves, so some hundred thousand would use up the stack.
inline constexpr int deepest_json = 64;

// `input` is a text or a stream; `name` stands for its file in messages. Throws JsonObject::parse_error where it is no
// JSON, ConfigError where it is nested deeper than deepest_json, or has a number such as 1e999.
template <typename Input>
JsonObject parse_json(Input&& input, const std::string& name) {
    using Event = JsonObject::parse_event_t;
    const auto limit_depth = [&](int depth, Event event, JsonObject&) {
        const bool begins = event == Event::array_start || event == Event::object_start;
        if (!begins || depth < deepest_json) return true;
        throw ConfigError(
            fmt::format("{}: expected JSON that is nested at most {} deep", name, deepest_json));
    };
    try {
        return JsonObject::parse(std::forward<Input>(input), limit_depth);
    } catch (const JsonObject::out_of_range&) {
        throw ConfigError(fmt::format("{}: expected JSON whose numbers are within those of a double", name));
    }
}

}  // namespace gpremap
