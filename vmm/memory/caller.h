// Who makes a call, what comes of it, and what it cost. A vCPU is one kind of caller; the host makes calls, too.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "guest/abi/agent.h"
#include "remap/range.h"
#include "vmm/config/memory_config.h"
#include "vmm/hostmemory/host_calls.h"
#include "vmm/kvm/pause_costs.h"
#include "vmm/kvm/vcpu_gate.h"

namespace gpremap {

// Where the structures lie that arguments of a call point to: the buffer of a query, the array of a batch. It
// can not be remapped. Whoever else has it may write it at any time: read once, check the copy.
class CallerMemory {
  public:
    virtual ~CallerMemory() = default;

    // Copies, all or nothing: false where any byte is elsewhere. Addresses and sizes are in bytes.
    [[nodiscard]] virtual bool read(uint64_t at, void* to, std::size_t size) const = 0;
    [[nodiscard]] virtual bool write(uint64_t at, const void* from, std::size_t size) = 0;
};

struct Caller {
    CallerMemory& memory;
    // The vCPU that waits for the call: it is out of guest mode, and not paused by it. Nobody's where the host
    // calls.
    unsigned vcpu = VcpuGate::nobody;
};

// ---- the cost of a call: counted where the system calls are made, summed by whoever reports them ----

// What the other vCPUs did while a call changed memory.
enum class OtherVcpus {
    idle,    // none was in guest mode, and none came back before the end
    ran,     // each ran on, but for the TLB flushes
    paused,  // those in guest mode were kept out until the end
};
std::string_view name_of(OtherVcpus others);

struct BesideCall {
    OtherVcpus others;
    const char* reason;
    uint64_t flushes = 0;                  // of TLBs by the kernel, at most: as planned
    std::optional<PauseCosts> costs = {};  // where these have decided
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
    // Nothing where nothing was to be changed.
    std::optional<BesideCall> beside;
    SyscallCounts syscalls;
    uint64_t deferred_bytes = 0;  // of snapshots whose copying has been put off
    PoolCounts pool;
    uint64_t pre_faulted = 0;  // bytes that KVM has mapped before the entry, as pre_fault asks for
    // Of each vCPU: how long it has waited on its own fault, at the end of the call.
    std::array<uint64_t, abi::max_vcpus> stall_ns{};
};

struct Called {
    int64_t result = 0;  // or -errno
    CallRecord record;
    // Where the call has put memory that may have been touched before, if MemoryConfig::pre_fault asks for it.
    std::vector<remap::Range> targets = {};
};

}  // namespace gpremap
