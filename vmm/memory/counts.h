// What one call cost: counted where the system calls are made, summed by whoever reports them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "guest/abi/agent.h"
#include "vmm/config/memory_config.h"

namespace gpremap {

// System calls made on behalf of one call, by kind.
struct SyscallCounts {
    uint64_t memslot_ioctls = 0;
    uint64_t mmap = 0;
    uint64_t mremap = 0;
    uint64_t mprotect = 0;
    uint64_t madvise = 0;
    uint64_t fallocate = 0;
    uint64_t copies = 0;  // ranges promoted from anonymous memory to memfd by copying

    uint64_t total() const { return memslot_ioctls + mmap + mremap + mprotect + madvise + fallocate; }
};

// Bytes of huge pages that one call had from the warm pool, and gave to it.
struct PoolCounts {
    uint64_t taken = 0;
    uint64_t given = 0;
};

// What the VMM saw of one remapping call.
struct CallRecord {
    uint64_t call_ns = 0;   // from the exit to the entry
    uint64_t bytes = 0;     // of guest-physical memory that the call was about
    bool moved = false;     // the result is another address than the source
    bool huge_kept = true;  // no huge page had to be split, no congruence was lost
    // Never automatic; nothing where nothing was to be changed.
    std::optional<Mechanism> mechanism;
    const char* mechanism_reason = "";
    SyscallCounts syscalls;
    PoolCounts pool;
    uint64_t pre_faulted = 0;  // bytes that KVM has mapped before the entry, as pre_fault asks for
    std::array<uint64_t, abi::max_vcpus>
        stall_ns{};  // for each vCPU: how long it has waited on its own fault, at
                     // the end of the call
};

}  // namespace gpremap
