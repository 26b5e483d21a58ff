// Reading the steps of a Linux guest, and what they need.
#pragma once

#include <string_view>

#include "vmm/config/toml_reader.h"
#include "vmm/scenario/scenario.h"

namespace gpremap {

PlugAction read_plug(const TomlValue& value);
UnplugAction read_unplug(const TomlValue& value);
CommandAction read_command(const TomlValue& value);

// Throws ConfigError where another guest has such a step, or an `unplug` comes before its `plug`.
void check_linux_steps(const Scenario& scenario);

}  // namespace gpremap
