// Reads the schedules of a scenario: `inflate`, and `resize` with a trace or a shape.
#pragma once

#include "vmm/config/toml_reader.h"
#include "vmm/scenario/scenario.h"

namespace gpremap {

inline constexpr double longest_wait = 3600;  // seconds
// A number, or a text with a unit, from 0 to the longest.
double read_seconds(const TomlValue& value, double longest = longest_wait);

inline constexpr double longest_deadline = 7 * 24 * 3600;  // seconds
// The same, to the longest deadline, and not 0.
double read_deadline(const TomlValue& value);

// Throw ConfigError; for a line of a trace with the trace's file and line.
ResizeAction read_inflate(const TomlValue& value);
ResizeAction read_resize(const TomlValue& value);

}  // namespace gpremap
