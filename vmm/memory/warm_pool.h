// Zeroed huge pages, ready for the next grow: what a call gives back is kept, and used again only after it has been
// zeroed. Of anonymous memory they move in and out at page-table speed (here); pages of the backing object stay where they
// are (object_pool.h). Both are made of lanes (vmm/pool).
#pragma once

#include <cstddef>
#include <cstdint>

#include "vmm/hostmemory/host_calls.h"
#include "vmm/hostmemory/move_memory.h"
#include "vmm/hostmemory/reservation.h"
#include "vmm/memory/caller.h"
#include "vmm/pool/lanes.h"

namespace gpremap {

// What both have in common. Calls follow one another.
class Pool : protected LaneMemory {
  public:
    // Throws HostLacks where the host does not have as much address space.
    Pool(uint64_t capacity, uint64_t unit);
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    // The call came to nothing: all that was given since the last settle() is as it was. Throws std::system_error where
    // that fails.
    virtual void take_back(HostCalls& calls) = 0;
    // What was given belongs to the pool from now on.
    void settle();

    // ---- of anybody ----

    PoolCounts counts() const { return counts_; }  // of calls, too
    void reset_counts() { counts_ = {}; }

    // Bytes of zeroed memory, of memory that the cleaners have yet to zero, and that it could be given.
    uint64_t ready() const { return lanes_.ready(); }
    uint64_t unclean() const { return lanes_.unclean(); }
    uint64_t room() const { return lanes_.room(); }
    // Bytes of host memory that it holds, as the kernel counts them.
    virtual uint64_t resident_bytes() const = 0;

  protected:
    static bool is_one_huge_page(const std::byte* at);
    // HostLacks, for memory that there is not.
    [[noreturn]] void throw_no_memory(int error) const;

    Reservation reservation_;  // both of its halves, lane after lane
    Lanes lanes_;
    PoolCounts counts_;
};

// Of anonymous memory.
class WarmPool final : public Pool {
  public:
    // `capacity`: bytes, a multiple of 2 MiB. Full when it returns. Throws HostLacks where the host does not
    // have as much memory or address space.
    explicit WarmPool(uint64_t capacity, PoolCleaner cleaner);
    ~WarmPool() override { lanes_.stop(); }

    // Moves zeroed memory, readable and writable, to `at`, a multiple of 2 MiB, in place of what is there.
    // Returns how many bytes, from `at` on. Behind them there may be nothing, not even what was there.
    uint64_t take(HostCalls& calls, std::byte* at, uint64_t size);

    // Moves the 2 MiB pages of a range of anonymous memory into the pool, as many as it has room for; none
    // where the host refuses, or lets us have no memory for the attempt. Returns how many bytes.
    uint64_t give(HostCalls& calls, std::byte* at, uint64_t size, Leaves leaves);
    void take_back(HostCalls& calls) override;

    uint64_t resident_bytes() const override;

  private:
    uint64_t give_share(HostCalls& calls, std::byte* from, uint64_t size, Leaves leaves);
    bool open(Lane& lane) override;
    void zero(std::byte* at) override;
    bool fetch(Lane& lane) override;
};

}  // namespace gpremap
