// What came of one step that a guest was given.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "guest/abi/agent.h"
#include "vmm/kvm/kvm_counts.h"
#include "vmm/memory/caller.h"

namespace gpremap {

// The last time that a vCPU was in the guest, by the host's clock: KVM_RUN began and returned.
struct Visit {
    std::chrono::steady_clock::time_point entered;
    std::chrono::steady_clock::time_point left;
};

// One step as it was done.
struct Performed {
    abi::Report report;
    Visit visit;                     // in which the report was written
    uint64_t guest_ns = 0;           // by the guest's TSC around the step
    std::optional<CallRecord> call;  // for abi::Op::call of a remapping call
    KvmCounts kvm;                   // of the whole VM: what other vCPUs did meanwhile is in it
    uint64_t retries = 0;            // of accesses that the space had come to allow meanwhile
    uint64_t retries_in_a_row = 0;   // of the access that needed most
};

}  // namespace gpremap
