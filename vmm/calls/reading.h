// Reads calls from TOML, in every kind of file: the grammar of a call's table is its row of the catalogue.
#pragma once

#include <string>
#include <string_view>

#include "vmm/calls/call.h"
#include "vmm/calls/words.h"
#include "vmm/config/toml_reader.h"

namespace gpremap {

// The table `value` is that of a call of `row`.
CallAction read_call(const CallRow& row, const TomlValue& value, const Words& words);

// One entry of a batch, or of a case file's `native`: { move = { ... } }.
CallAction read_native_call(const TomlTable& table, const Words& words);

// An array of native calls, [{ map = { ... } }, { move = { ... } }]: from `least` to `most`.
BatchAction read_batch(const TomlValue& value, const Words& words, size_t least, size_t most);

// "map, unmap, ...": all that have a row, which `batch` has not.
std::string call_verbs();

}  // namespace gpremap
