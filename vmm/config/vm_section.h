// The section [vm] of a scenario, and what the command line says in its place.
#pragma once

#include "vmm/config/machine_config.h"
#include "vmm/config/toml_reader.h"

namespace gpremap {

// `machine` holds what stands for keys that are left out. `domain` is a key that the caller reads.
MachineConfig read_vm(const TomlTable& vm, MachineConfig machine);

void override_vm(const Overrides& overrides, MemoryConfig& memory);

// What only file and command line together decide. `root` is the file that [vm] stands in.
void check_vm(const TomlTable& root, const Overrides& overrides, const MemoryConfig& memory);

}  // namespace gpremap
