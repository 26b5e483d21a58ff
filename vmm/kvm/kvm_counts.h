// KVM's own counts of one VM.
#pragma once

#include <cstdint>

namespace gpremap {

// What KVM's own statistics say; zeros where KVM does not report them. As part of a step: the pages that were
// mapped after it, and the faults, flushes and exits that came with it.
struct KvmCounts {
    uint64_t pages_4k = 0;
    uint64_t pages_2m = 0;
    uint64_t pages_1g = 0;
    uint64_t faults = 0;
    uint64_t tlb_flushes = 0;
    uint64_t exits = 0;  // of vCPUs from the guest, also those that KVM settles by itself
};

}  // namespace gpremap
