// On which of the host's processors the threads of this program run.
//
//     processors   0      1      2      3         one of them for the rest, as there are enough;
//                  rest   vcpu0  vcpu1  vcpu2     hyperthread siblings come last
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "vmm/config/machine_config.h"
#include "vmm/host/processors.h"

namespace gpremap {

struct Pinning {
    std::optional<std::vector<unsigned>> cpus;       // of the vCPU threads, one each; nothing: any
    std::optional<std::vector<unsigned>> host_cpus;  // of all other threads; nothing: any
    std::optional<std::string> note;                 // what is not as it should be for measuring
};

// For a VM with so many vCPUs. Where there are too few processors to spread, nothing is pinned, and the note says
// so. Throws ConfigError where one is stated that is not usable.
Pinning choose_pinning(const PlacementConfig& config, unsigned vcpus, const std::vector<Processor>& usable);

// Has the thread that makes it, and those that it starts from then on, run on some of the processors, until it
// goes. Throws std::system_error.
class RunOn {
  public:
    // Nothing: on all as before.
    explicit RunOn(const std::optional<std::vector<unsigned>>& processors);
    ~RunOn();
    RunOn(const RunOn&) = delete;
    RunOn& operator=(const RunOn&) = delete;

  private:
    std::vector<unsigned> before_;  // empty: nothing has changed
};

}  // namespace gpremap
