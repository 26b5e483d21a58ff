// On which of the host's processors the threads of this program run.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace gpremap {

struct Pinning {
    std::optional<std::vector<unsigned>> cpus;       // of the vCPU threads, one each; nothing: any
    std::optional<std::vector<unsigned>> host_cpus;  // of all other threads; nothing: any
    std::optional<std::string> note;                 // what is not as it should be for measuring
};

}  // namespace gpremap
