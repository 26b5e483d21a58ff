// What one row of the bench is measured with, and what comes of it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "vmm/memory/remapper.h"

namespace gpremap {

struct BenchSetting {
    uint64_t size = 0;  // bytes that the measured call is about
    uint64_t granule = 4096;
    Backing backing = Backing::anon;          // never automatic
    Mechanism mechanism = Mechanism::window;  // never automatic
    uint64_t extents = 1;                     // in the map
    uint64_t pool = 0;                        // bytes of the warm pool
    bool pre_fault = false;
    Pause pause = Pause::automatic;
    SnapshotCopies snapshots = SnapshotCopies::later;
    bool ring = false;  // whether calls are made through the ring
    unsigned runs = 1;
    unsigned vcpus = 1;
    abi::FaultKind neighbour =
        abi::FaultKind::write;        // what a second vCPU does with its memory: writes or reads
    std::vector<unsigned> cpus = {};  // host processors of the vCPUs' threads, one each; empty: any
};

// In the unit of the row, in the order in which they were taken.
struct BenchSamples {
    std::vector<uint64_t> ours;
    std::vector<uint64_t> baseline;
};

// Ours and the baseline in turn, so that what disturbs the host disturbs both. A first round is not counted:
// it opens slots and fills tables. Both return what is measured.
template <typename Ours, typename Baseline>
BenchSamples take_turns(unsigned runs, Ours ours, Baseline baseline) {
    BenchSamples samples;
    ours();
    baseline();
    for (unsigned run = 0; run < runs; run++) {
        samples.ours.push_back(ours());
        samples.baseline.push_back(baseline());
    }
    return samples;
}

}  // namespace gpremap
