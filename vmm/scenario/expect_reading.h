// Reads what a step is to end in.
#pragma once

#include "vmm/config/toml_reader.h"
#include "vmm/scenario/scenario.h"

namespace gpremap {

// The table `expect` of a step whose action is there already. Throws ConfigError, also for what such a step never
// has: an errno of a sleep, the time of a call of a touch.
Expect read_expect(const TomlValue& expect, const ScenarioStep& step);

}  // namespace gpremap
