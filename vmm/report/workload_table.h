// What the workloads of a run came to, for people.
#pragma once

#include <iosfwd>
#include <vector>

#include "vmm/base/terminal.h"
#include "vmm/workloads/result.h"

namespace gpremap {

// Three or four lines each: throughput, latencies, those beside calls, and what is wrong.
void print_workloads(std::ostream& out, const std::vector<WorkloadResult>& workloads, Colour colour);

}  // namespace gpremap
