// Who makes a call, and what comes of it. A vCPU is one kind of caller; the host makes calls, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "remap/range.h"
#include "vmm/kvm/vcpu_gate.h"
#include "vmm/memory/counts.h"

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

struct Called {
    int64_t result = 0;  // or -errno
    CallRecord record;
    // Where the call has put memory that may have been touched before, if MemoryConfig::pre_fault asks for it.
    std::vector<remap::Range> targets = {};
};

}  // namespace gpremap
