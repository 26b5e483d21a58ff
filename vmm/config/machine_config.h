// A VM as it is configured.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vmm/config/memory_config.h"
#include "vmm/config/parameter.h"

namespace gpremap {

// On which of the host's processors the threads of this program are to run.
struct PlacementConfig {
    enum class Rule { spread, any, stated };

    Rule rule = Rule::spread;
    std::vector<unsigned> cpus;       // where stated: of the vCPU threads, one each
    std::vector<unsigned> host_cpus;  // of all other threads; empty: those that no vCPU has
    // "FILE:LINE: key 'KEY': " of the two, for what only the host can say of them.
    std::string cpus_place;
    std::string host_cpus_place;
};

struct MachineConfig {
    unsigned vcpus = 1;
    MemoryConfig memory;
    // Whether a thread of the host takes calls from memory that it shares with the vCPUs (guest/abi/ring.h): no exit, but a
    // processor of its own. The agent then makes all its calls so.
    bool ring = false;
    PlacementConfig placement;
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
