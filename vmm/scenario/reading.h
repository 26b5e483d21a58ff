// Reads a scenario from TOML, and checks it as a whole before anything runs.
#pragma once

#include <string>
#include <string_view>

#include "vmm/config/machine_config.h"
#include "vmm/scenario/scenario.h"

namespace gpremap {

// The file is TOML, or a libvirt domain with the scenario in its metadata. Throw ConfigError with one line
// for each thing that is wrong; HostLacks where there is a domain, and this build has no libvirt.
Scenario read_scenario(const std::string& path, const Overrides& overrides = {});
// For text that stands in no file; `name` takes the file's place in messages.
Scenario parse_scenario(std::string_view text, const std::string& name, const Overrides& overrides = {});

// Its TOML, of which nothing is read yet: in a domain, what its metadata say. Throws as parse_scenario.
TomlFile scenario_toml(std::string_view text, const std::string& name);

}  // namespace gpremap
