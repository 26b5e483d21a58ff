// A call's arguments in JSON, read with the grammar that scenarios have.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/calls/call.h"
#include "vmm/calls/catalogue.h"

namespace gpremap {

// Throw CallError, bad_arguments: with what was expected.
CallAction read_action(const CallRow& row, const JsonObject& arguments);
BatchAction read_batch_action(const JsonObject& arguments);
// An address such as 4096, "heap", "heap+4KiB", and a size: those of `query`.
Span read_span(const JsonObject& arguments);

// A size in bytes, as text or as a number; `otherwise` where it is not stated.
uint64_t size_or(const JsonObject& arguments, const std::string& key, uint64_t otherwise);

// Their values, with the addresses that ranges have in `names`. Throws CallError where there is no such range.
std::vector<uint64_t> values_of(const CallAction& action, const Names& names);
uint64_t value_of(const Operand& operand, const Names& names);

}  // namespace gpremap
