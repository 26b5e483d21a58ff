// What calls cost while a second vCPU runs, and that vCPU while calls are made. All settings have two vCPUs, and say
// what the second does (BenchSetting::neighbour): it accesses 2 MiB that no call is about.
#pragma once

#include "vmm/bench/samples.h"

namespace gpremap {

// Each by the guest's clock | the same while the second vCPU has nothing to do.

BenchSamples bench_move_beside(const BenchSetting& setting);
// Two ranges of that size change places.
BenchSamples bench_exchange_beside(const BenchSetting& setting);
// A shrink by that size, to a warm pool that has room for all of it.
BenchSamples bench_reclaim_to_pool_beside(const BenchSetting& setting);
// A grow by that size from a warm pool that has all of it, and the first touch of every page.
BenchSamples bench_install_from_pool_beside(const BenchSetting& setting);

// The second vCPU's longest gap while a range moves, with BenchSetting::pause | the same with Pause::automatic.
BenchSamples bench_gap_beside(const BenchSetting& setting);

}  // namespace gpremap
