// From which size on a move is worth it.
#pragma once

#include "vmm/bench/samples.h"

namespace gpremap {

// In bytes: the smallest range that the guest has elsewhere sooner by moving it and reading a word of every page than by
// its own memmove into touched memory | by moving it and reading nothing. Both are found by halving, from
// BenchSetting::size on down to the granule; twice that size where it does not win there either. A second vCPU, where
// there is one, accesses other memory meanwhile, as BenchSetting::neighbour says.
BenchSamples bench_break_even(const BenchSetting& setting);

}  // namespace gpremap
