// Zeroed huge pages of anonymous memory, ready for the next grow. What a call gives back moves in at
// page-table speed, and is used again only after it has been zeroed.
//
//     lane    0            1            2            3
//           | [zero|old ] | [zero    ] |            | [old     ] |       the rest is closed
//
// A lane holds what one call gave, or what a refill fetched: zeroed from the front. Three may touch it:
//   - a call gives memory into a free lane and takes zeroed memory off the front; calls follow one another;
//   - the cleaner, a thread of the lowest priority, zeroes what is old, and a second after the last call
//   refills
//     what is missing with fresh memory.
// They share no lock: a thread that gets hardly any time must never hold one that a call waits for.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <semaphore>
#include <thread>

#include "vmm/memory/caller.h"
#include "vmm/memory/host_calls.h"
#include "vmm/memory/move_memory.h"
#include "vmm/memory/remapper.h"
#include "vmm/memory/reservation.h"

namespace gpremap {

class WarmPool {
  public:
    // `capacity`: bytes, a multiple of 2 MiB. Full when it returns. Throws HostLacks where the host does not
    // have as much memory or address space.
    explicit WarmPool(uint64_t capacity, PoolCleaner cleaner);
    ~WarmPool();
    WarmPool(const WarmPool&) = delete;
    WarmPool& operator=(const WarmPool&) = delete;

    // ---- of calls, which follow one another ----

    // Moves zeroed memory, readable and writable, to `at`, a multiple of 2 MiB, in place of what is there.
    // Returns how many bytes, from `at` on. Behind them there may be nothing, not even what was there.
    uint64_t take(HostCalls& calls, std::byte* at, uint64_t size);

    // Moves the 2 MiB pages of a range of anonymous memory into the pool, as many as it has room for; none
    // where the host refuses, or lets us have no memory for the attempt. Returns how many bytes.
    uint64_t give(HostCalls& calls, std::byte* at, uint64_t size, Leaves leaves);
    // The call came to nothing: all that was given since the last settle() goes back to where it was. Throws
    // std::system_error where that fails.
    void take_back(HostCalls& calls);
    // What was given belongs to the pool from now on.
    void settle();

    // ---- of anybody ----

    PoolCounts counts() const { return counts_; }  // of calls, too
    void reset_counts() { counts_ = {}; }

    // Bytes of zeroed memory, and of memory that the cleaner has yet to zero.
    uint64_t ready() const;
    uint64_t unclean() const;
    // Bytes that it could be given.
    uint64_t room() const { return capacity_ - bytes_; }
    // Bytes of host memory that it holds, as the kernel counts them.
    uint64_t resident_bytes() const;

  private:
    // free -> held -> unclean -> clean -> free. Only the cleaner ends `unclean`, only calls leave `clean`.
    enum class State : uint8_t { free, held, unclean, clean };
    struct Lane {
        std::atomic<State> state = State::free;
        std::byte* at = nullptr;           // set while held
        std::atomic<uint64_t> size = 0;    // set while held
        std::byte* origin = nullptr;       // of calls
        std::atomic<uint64_t> taken = 0;   // bytes from the front that have left, changed by calls
        std::atomic<uint64_t> zeroed = 0;  // bytes from the front, those that have left included
    };

    bool move_in(HostCalls& calls, Lane& lane, Leaves leaves);
    Lane* free_lane();
    std::byte* start_of(const Lane& lane) const;
    Lane* best_for(uint64_t size);
    void release_empty_lanes();
    uint64_t room_for(uint64_t wanted);
    void fill();

    void clean();
    Lane* next_unclean();
    void zero_some(Lane& lane);
    bool make_writable(Lane& lane);
    bool refill_some();
    void call_cleaner();

    static constexpr size_t lane_count = 64;

    const uint64_t capacity_;
    const uint64_t lane_size_;
    Reservation reservation_;  // both of its halves, lane after lane
    std::array<Lane, lane_count> lanes_;
    std::atomic<uint64_t> bytes_ = 0;  // in lanes, or about to be
    std::atomic<int64_t> last_call_ns_;
    PoolCounts counts_;

    std::atomic<bool> stops_ = false;
    std::counting_semaphore<> work_{0};
    std::thread cleaner_;
};

}  // namespace gpremap
