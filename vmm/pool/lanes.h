// Lanes of memory that threads of the lowest priority zero, and calls take and give. What a lane's memory is made of, and
// how it is zeroed, others know (LaneMemory).
//
//     lane    0            1            2            3
//           | [zero|old ] | [zero    ] |            | [old     ] |       the rest is closed
//
// A lane holds what one call gave, or what a refill fetched: zeroed from the front. Who touches it:
//   - a call gives memory into a free lane and takes zeroed memory off the front; calls follow one another;
//   - the cleaners, one for each lane at a time, zero what is old, and a second after the last call refill
//     what is missing with fresh memory.
// They share no lock: a thread that gets hardly any time must never hold one that a call waits for.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <semaphore>
#include <thread>

#include "vmm/config/memory_config.h"

namespace gpremap {

// free -> held -> unclean -> clean -> free. Only a cleaner ends `unclean`, only calls leave `clean`.
struct Lane {
    enum class State : uint8_t { free, held, unclean, clean };
    std::atomic<State> state = State::free;
    std::atomic<bool> has_cleaner = false;
    std::atomic<bool> is_fetched = false;  // set while held: what the host had, and no call gave
    bool is_given = false;                 // by the call in progress
    std::byte* at = nullptr;               // set while held
    std::atomic<uint64_t> offset = 0;      // set while held: in a file, if it is of one
    std::byte* origin = nullptr;           // of calls
    std::atomic<uint64_t> size = 0;        // set while held
    std::atomic<uint64_t> taken = 0;       // bytes from the front that have left, changed by calls
    std::atomic<uint64_t> zeroed = 0;      // bytes from the front, those that have left included
};

class LaneMemory {
  public:
    virtual ~LaneMemory() = default;

    // All by a cleaner. False: the host refuses.

    // Makes what was given writable where it is. Where it fails the host has the memory back.
    virtual bool open(Lane& lane) = 0;
    // Zeroes `Lanes::step` bytes.
    virtual void zero(std::byte* at) = 0;
    // Puts fresh memory, readable and writable, where the lane is.
    virtual bool fetch(Lane& lane) = 0;
};

class Lanes {
  public:
    static constexpr uint64_t step = 2ull << 20;

    // `capacity`: bytes, a multiple of `unit`, which is one of 2 MiB: in such units memory is given and taken. `places`: of
    // the lanes, side by side, each place_size(capacity) bytes, at a multiple of 1 GiB. `memory` must outlive it.
    Lanes(uint64_t capacity, uint64_t unit, std::byte* places, LaneMemory& memory);
    ~Lanes();
    Lanes(const Lanes&) = delete;
    Lanes& operator=(const Lanes&) = delete;

    static constexpr size_t lane_count = 64;
    static uint64_t place_size(uint64_t capacity);

    // All of the capacity is in one lane, and zeroed, once `fill(lane)` has returned.
    template <class Fill>
    void begin_full(Fill fill) {
        Lane& lane = *hold(capacity_);
        fill(lane);
        lane.zeroed = capacity_;
        lane.state = Lane::State::clean;
    }
    // From now on, in threads.
    void start(PoolCleaner cleaner);
    // Ends them, before what `memory` needs is gone.
    void stop();

    // ---- of calls, which follow one another ----

    // Before anything is taken: cleaners could be awake, and refill at once.
    void note_call();
    // The lane with the least zeroed memory that has as much, or else with the most; null where there is none.
    Lane* best_for(uint64_t size);
    uint64_t ready_in(const Lane& lane) const;
    void take_front(Lane& lane, uint64_t size);
    // A lane of `size` bytes, or as many as there is room for, at the start of its place; null where there is none. It is
    // the caller's until settle() or drop().
    Lane* hold(uint64_t size);
    // The lane is free again, and its memory somewhere else.
    void drop(Lane& lane);
    void release_empty();
    // What was given is for the cleaners from now on.
    void settle();
    // In how many lanes what one call gives is put best, so that all cleaners have something to do.
    uint64_t shares_of(uint64_t size) const;

    template <class Visit>
    void visit_given(Visit visit) {
        for (Lane& lane : lanes_)
            if (lane.state == Lane::State::held && lane.is_given) visit(lane);
    }
    // Those with zeroed memory at their front.
    template <class Visit>
    void visit_ready(Visit visit) {
        for (Lane& lane : lanes_)
            if (is_settled(lane) && ready_in(lane) > 0) visit(lane);
    }

    // ---- of anybody ----

    uint64_t capacity() const { return capacity_; }
    uint64_t unit() const { return unit_; }
    uint64_t ready() const;
    uint64_t unclean() const;
    uint64_t room() const { return capacity_ - bytes_; }
    // Those that a call may have given last are not among them.
    template <class Visit>
    void visit_settled(Visit visit) const {
        for (const Lane& lane : lanes_)
            if (is_settled(lane)) visit(lane);
    }

  private:
    // Each has a call of its own to wake it: one of them could take all.
    struct Cleaner {
        std::counting_semaphore<> work{0};
        std::thread thread = {};
    };
    enum class Refills { yes, no };  // whether a cleaner does, beside what was given
    static bool is_settled(const Lane& lane);
    Lane* free_lane();
    uint64_t room_for(uint64_t wanted);
    void clean(Cleaner& self, Refills refills);
    Lane* next_unclean(Refills refills);
    void clean_some(Lane& lane);
    bool refill_some();
    void call_cleaners();

    const uint64_t capacity_;
    const uint64_t unit_;
    std::byte* const places_;
    LaneMemory& memory_;
    std::array<Lane, lane_count> lanes_;
    std::atomic<uint64_t> bytes_ = 0;  // in lanes, or about to be
    std::atomic<int64_t> last_call_ns_;

    std::atomic<bool> stops_ = false;
    std::deque<Cleaner> cleaners_;
};

}  // namespace gpremap
