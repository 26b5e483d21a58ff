// What a call has noted: how to undo what it has done so far, and what is left to do once it has succeeded.
//
//     a change works     undo:   [ close ][ move back ][ slot back ]          performed last to first
//                      finish: [ give rights ][ drop what was set aside ]   performed first to last
//
// A call ends with one of the two lists, and neither may fail: nothing in them can be refused but for want of
// room, of which the ballast has some.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vmm/hostmemory/backing_object.h"
#include "vmm/hostmemory/host_calls.h"
#include "vmm/memory/object_pool.h"
#include "vmm/memory/warm_pool.h"

namespace gpremap {

class Vm;

// One host call that undoes or finishes something. Plain data, so that noting it allocates nothing else.
struct HostAction {
    enum class Kind {
        move,
        close,
        protect,
        view,
        punch_hole,
        free,
        put_back,
        discard,
        drop,
        set_slot,
        reclaim
    };
    Kind kind;
    std::byte* at = nullptr;
    std::byte* to = nullptr;  // of a move
    uint64_t size = 0;        // bytes
    int prot = 0;             // protect, view
    uint64_t offset = 0;      // view, punch_hole, free, put_back: in the backing object
    uint32_t slot = 0;        // set_slot
    uint64_t gpa = 0;         // set_slot
};

class Journal {
  public:
    // All must outlive it.
    Journal(Vm& vm, const BackingObject& object, HostCalls& calls);

    // Where memory goes that is reclaimed, or freed pages of the object; it must outlive this.
    void use(WarmPool& pool) { pool_ = &pool; }
    void use(ObjectPool& pool) { object_pool_ = &pool; }

    // Forgets the call before.
    void begin();

    // To be called before something is done that is noted afterwards: the next `count` notes of each kind
    // allocate nothing. Throws std::bad_alloc with nothing changed.
    void make_room(size_t count = 1);
    // Throw std::bad_alloc, with nothing noted, where no room has been made.
    void undo(const HostAction& action) { undo_.push_back(action); }
    void finish(const HostAction& action) { finish_.push_back(action); }

    // Ends the call, one way or the other. Both throw std::system_error where a host call is refused even
    // with the ballast given up: part of the call then stands, and the VM is of no use any more. The ballast
    // stays given up until HostCalls::take_room_back.
    void undo_all();
    void finish_all();

  private:
    int perform(const HostAction& action);
    int perform_at_end(const HostAction& action);

    Vm& vm_;
    const BackingObject& object_;
    HostCalls& calls_;
    Pool* any_pool() const;

    WarmPool* pool_ = nullptr;  // where there is one
    ObjectPool* object_pool_ = nullptr;
    std::vector<HostAction> undo_, finish_;
};

}  // namespace gpremap
