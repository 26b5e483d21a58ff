// What only a scenario as a whole says of its workloads.
#pragma once

#include "vmm/scenario/scenario.h"

namespace gpremap {

// Throws ConfigError, with all that is wrong: names and vCPUs must be one workload's alone, no step may use its vCPU,
// and a step must make its range.
void check_workloads(const Scenario& scenario);

}  // namespace gpremap
