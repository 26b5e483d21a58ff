// A second snapshot of a range of which all has been written since the first: copied later, and at once. Not of hugetlb,
// which has no other way than at once.
#pragma once

#include "vmm/bench/samples.h"

namespace gpremap {

// The call, by the guest's clock | the same where it copies at once.
BenchSamples bench_snapshot(const BenchSetting& setting);
// The longest time between two writes of a second vCPU to the range meanwhile, and until it has written all of it again |
// the same where the call copies at once. Two vCPUs.
BenchSamples bench_snapshot_gap(const BenchSetting& setting);

}  // namespace gpremap
