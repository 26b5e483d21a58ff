// One VM's remapper: holds the space, lets the core plan each call, and has stage 2 apply the plan.
// Called by any thread; one call at a time changes the space, and a vCPU that faults waits for it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "guest/abi/agent.h"
#include "remap/stage2/prediction.h"
#include "vmm/config/memory_config.h"
#include "vmm/memory/caller.h"
#include "vmm/memory/late_copies.h"

namespace gpremap {

class Vm;

enum class FaultVerdict {
    retry,   // the space allows the access now: run the vCPU again, the instruction is repeated
    report,  // it does not: the guest gets a fault
};

// One extent as stage 2 has it.
struct MapEntry {
    uint64_t at = 0;                       // bytes, guest-physical
    uint64_t size = 0;                     // bytes
    uint64_t prot = 0;                     // abi::prot_*
    uint64_t attributes = 0;               // abi::attribute_*
    Backing backing = Backing::automatic;  // what it is now, never automatic
    remap::stage2::Outlook outlook;        // the pages that stage 2 can map it with
};

// Of the warm pool, in bytes: what is zeroed, what has yet to be, and what the host provides for it now.
struct PoolContents {
    uint64_t ready = 0;
    uint64_t unclean = 0;
    uint64_t resident = 0;
};

class Remapper {
  public:
    // Opens the aperture of `vm`. Throws HostLacks where the host cannot provide the backing.
    Remapper(Vm& vm, const MemoryConfig& config);
    ~Remapper();

    // A native, Linux, NetBSD or UTek call; any number that is not such a call is -ENOSYS. The record is without
    // call_ns and pre_faulted, which the vCPU's loop knows. A host failure that leaves the VM unusable throws
    // std::system_error; no vCPU runs any more then, and every later call throws that, too.
    Called call(const Caller& caller, abi::Call number, const std::array<uint64_t, 6>& args);

    // Several native calls as one, all or nothing; each gets its result. -EINVAL for one that may not be part of a batch,
    // and for more than GPREMAP_MAX_BATCH.
    Called batch(const Caller& caller, std::span<abi::BatchCall> calls);

    // Changes when a call begins, and when it ends, whoever makes it.
    uint64_t generation() const;

    // A vCPU's access found no mapping that allows it. Waits until no call is in progress, then decides.
    FaultVerdict fault(unsigned vcpu, uint64_t gpa, abi::FaultKind kind);

    // What of Called::targets the host has in its page tables now. The rest would be made, and may never be used.
    std::vector<remap::Range> resident_in(const std::vector<remap::Range>& targets) const;

    // Every extent, by address, with what it is made of.
    std::vector<MapEntry> map() const;

    // What stage 2 can map in the aperture, once all of it has been touched. By address; what allows no
    // access is not mapped.
    std::vector<remap::stage2::Piece> possible_pieces() const;
    // What of it is in the host's page tables now, with pages as large as they are there. Throws HostLacks.
    std::vector<remap::stage2::Piece> resident_pieces() const;

    // Bytes of host memory that the aperture holds now, measured on the host and not computed from
    // the space: what is resident of anonymous memory, the allocated blocks of a memfd. The warm pool is not
    // in it. May take milliseconds.
    uint64_t resident_bytes() const;

    // As it is configured; parts may have another, which map() says.
    Backing backing() const;

    // All zero where there is no warm pool. May take milliseconds.
    PoolContents pool() const;

    // What has come of snapshots that copy later.
    LateCopies::Counts late_copies() const;

    // Limits from now on: bytes of host memory, bytes of locked memory, extents. What is in use stays.
    void set_limits(uint64_t memory, uint64_t locked, uint64_t extents);

    // What is sealed is not so any more: no call of the guest's can do that.
    void lift_seals();

    // For tests: host call number `nth` from now, 0 the next, fails with ENOMEM.
    void fail_host_call(uint64_t nth);
    // And once that has happened, also number `nth` of those that undo the call.
    void fail_undo(uint64_t nth);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace gpremap
