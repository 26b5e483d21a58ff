// The same resizes on a gpremap machine, while another vCPU writes.
#pragma once

#include <utility>
#include <vector>

#include "vmm/compare/resize_plan.h"
#include "vmm/compare/resizing.h"
#include "vmm/compare/waiter.h"

namespace gpremap {

// Runs the schedule on a fresh machine of `config`, with the agent alone as its guest and one vCPU more. Throws
// GuestDied, also where its memory is not as it was; HostLacks; Interrupted.
std::vector<std::pair<Resizing, Measured>> resize_on_gpremap(MachineConfig config, const Schedule& schedule,
                                                             Waiter& waiter);

}  // namespace gpremap
