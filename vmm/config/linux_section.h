// The section [linux] of a scenario: the kernel of the guest "linux".
#pragma once

#include "vmm/config/machine_config.h"
#include "vmm/config/toml_reader.h"

namespace gpremap {

// Paths that are not absolute are beside the file that the section stands in. Throws ConfigError.
LinuxConfig read_linux(const TomlTable& section);

// --guest and --linux-image in place of what the file says.
void override_guest(const Overrides& overrides, MachineConfig& machine);

// What cannot be together in a VM with that guest. `root` is the file.
void check_guest(const TomlTable& root, const MachineConfig& machine);

}  // namespace gpremap
