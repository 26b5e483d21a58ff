// Snapshots that copy later. The call takes away the right to write to the range, and gives none to its snapshot; what has
// been written since the snapshot before is copied afterwards, a piece at a time, in the background, or at once where
// somebody waits for it:
//
//     range       [ a | B | c ]    can be read; a write waits for its piece     B: a page that has been written
//     snapshot    [ - | - | - ]    any access waits for its piece
//
// A call that has to do with either of the two waits for all that is left of them. What is dropped before it has been
// copied is never copied.
//
// The memory is charged when the call is planned, as if it were copied then. If the host has none for a copy, the VM is
// stopped: neither side may go on with what the other one reads.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

#include "remap/plan.h"
#include "vmm/hostmemory/backing_object.h"
#include "vmm/hostmemory/host_calls.h"

namespace gpremap {

class LateCopies {
  public:
    // Of the range and its snapshot, each in one piece on the host; `offset`: of the pages of the object that both are
    // private views of. Bytes.
    struct Piece {
        remap::Range from;
        std::byte* from_at;
        std::byte* to_at;
        uint64_t offset;
        bool is_done = false;
    };
    struct Snapshot {
        remap::Range from;
        remap::Range to;
        int from_prot;  // as the host has them, once this is over
        int to_prot;
        // Where its pieces are made, in a mapping as large as the snapshot: a vCPU is to see none before it is whole, and
        // mappings that come from one place become one again. nullptr: what was written goes into the object, of which
        // nobody else has a view.
        std::byte* scratch = nullptr;
        std::vector<Piece> pieces = {};
    };

    // What has come of it since the VM was made. Bytes of the ranges, but for `copied_bytes`.
    struct Counts {
        uint64_t deferred = 0;  // all that has been put off; of these ...
        uint64_t awaited = 0;   // was done when somebody waited for it
        uint64_t in_background = 0;
        uint64_t dropped = 0;       // never had to be
        uint64_t copied_bytes = 0;  // what was found written
    };

    // Each piece and what is left of its neighbours takes so many mappings more than the finished snapshot.
    static constexpr uint64_t most_pieces = 512, mappings_of_a_piece = 4;
    static constexpr uint64_t most_mappings = most_pieces * mappings_of_a_piece;
    // What has to be kept free of so many that the process may have; 0: too few to put anything off.
    static constexpr uint64_t mappings_kept_of(uint64_t all) {
        return all >= 8 * most_mappings ? most_mappings : 0;
    }
    // A snapshot of less is copied in the time that it takes to pause the vCPUs twice.
    static constexpr uint64_t least_size = 4ull << 20;

    LateCopies(const BackingObject& object, HostCalls& calls) : object_(object), calls_(calls) {}
    ~LateCopies();
    LateCopies(const LateCopies&) = delete;
    LateCopies& operator=(const LateCopies&) = delete;

    // From now on whatever is left is copied by a thread, which holds `lock` for one piece. Everything else here is called
    // with `lock` held. `stop` is called where a copy has failed, and ends the VM.
    void start(std::mutex& lock, std::function<void()> stop);

    // ---- of a call that is being made ----

    // Whether so many more pieces may be put off.
    bool has_room_for(size_t pieces) const;
    // Of a snapshot of so many bytes.
    static uint64_t piece_size(uint64_t size);
    // From the end of the call on, if it succeeds. Throws std::bad_alloc.
    void note(Snapshot snapshot) { noted_.push_back({std::move(snapshot)}); }

    // Before the call: all that its changes have to do with is copied, but for what they drop. Throws std::system_error
    // where the host refuses.
    void finish_for(const std::vector<remap::Change>& changes);
    enum class Outcome { done, undone };
    void end_call(Outcome outcome);

    // ---- at any time ----

    // A vCPU waits for what is there. Throws std::system_error.
    void finish_at(remap::Gpa at);

    const Counts& counts() const { return counts_; }

  private:
    struct Pending {
        Snapshot snapshot;
        size_t next = 0;          // all before this piece are done
        bool is_dropped = false;  // by the call in progress
    };
    enum class Seen { by_the_guest, by_nobody };

    void finish(Pending& pending, uint64_t& counted);
    void finish(Pending& pending, Piece& piece, uint64_t& counted);
    void fold(const Piece& piece);
    Seen copy(const Snapshot& snapshot, const Piece& piece);
    void drop(Pending& pending);
    void leave_scratch(const Snapshot& snapshot, const Piece& piece);
    void erase_finished();
    void run(std::mutex& lock, const std::function<void()>& stop);
    template <class Attempt>
    void insist(Attempt attempt);

    const BackingObject& object_;
    HostCalls& calls_;
    std::list<Pending> pending_;  // in the order of the calls
    std::list<Pending> noted_;    // by the call in progress
    Counts counts_;
    std::mutex* lock_ = nullptr;  // once it has been started
    std::condition_variable work_;
    bool stops_ = false;
    std::thread copier_;
};

}  // namespace gpremap
