// A VM as it is configured.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "vmm/config/memory_config.h"
#include "vmm/config/parameters.h"

namespace gpremap {

struct MachineConfig {
    unsigned vcpus = 1;
    MemoryConfig memory;
};

// What the command line says in place of the file.
struct Overrides {
    std::optional<Backing> backing;
    std::optional<Mechanism> mechanism;
    std::optional<uint64_t> granule;    // bytes
    std::optional<uint64_t> pool = {};  // bytes
    std::vector<ParameterSetting> parameters = {};
};

}  // namespace gpremap
