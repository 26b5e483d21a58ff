// Reads the steps of a scenario that are hypercalls: the native calls and the three personalities.
#pragma once

#include <string>
#include <string_view>

#include "vmm/calls/call.h"
#include "vmm/config/toml_reader.h"

namespace gpremap {

// "map", "linux", "batch", ...
bool is_call_verb(std::string_view name);
std::string call_verbs();

// `value` stands under a call verb other than "batch".
CallAction read_call(const TomlValue& value);

// An array of native calls, [{ map = { ... } }, { move = { ... } }].
BatchAction read_batch(const TomlValue& value);

}  // namespace gpremap
