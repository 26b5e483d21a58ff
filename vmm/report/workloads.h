// What came of workloads, as JSON and as CSV.
#pragma once

#include <string>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/workloads/result.h"

namespace gpremap {

JsonObject json_of(const ClockFacts& clock);
JsonObject json_of(const WorkloadResult& workload);
JsonObject json_of(const WorkloadSeries& series);

// A line of heads, workload,vcpu,t_ns,ops,bytes,max_ns; then one for each sample.
std::string csv_of(const std::vector<WorkloadSeries>& series);

}  // namespace gpremap
