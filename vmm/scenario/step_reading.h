// Reads the steps of a scenario. Only scenario.cpp needs this.
#pragma once

#include "vmm/config/toml_reader.h"
#include "vmm/scenario/reading.h"

namespace gpremap {

// One element of [[step]], of `repeat.steps`. Throws ConfigError for the first thing wrong in it.
ScenarioStep read_step(const TomlTable& table);

}  // namespace gpremap
