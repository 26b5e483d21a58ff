// Reads the steps of a scenario. Only scenario.cpp needs this.
#pragma once

#include "vmm/scenario.h"
#include "vmm/toml_reader.h"

namespace gpremap {

// One element of [[step]], of `repeat.steps`. Throws ConfigError for the first thing wrong in it.
ScenarioStep read_step(const TomlTable& table);

}  // namespace gpremap
