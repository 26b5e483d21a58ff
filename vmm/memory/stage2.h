// What carries a plan's changes out on real memory: all of them, or none. `window` and `memslots` are the two
// ways.
//
// A change notes in the journal how to undo it before it can have an effect that needs undoing. What is
// destroyed is set aside until everything has worked, or left for the end.
#pragma once

#include <cstdint>
#include <vector>

#include "remap/plan.h"
#include "vmm/config/memory_config.h"
#include "vmm/hostmemory/backing_object.h"
#include "vmm/hostmemory/host_calls.h"
#include "vmm/hostmemory/reservation.h"
#include "vmm/kvm/vm.h"
#include "vmm/memory/journal.h"
#include "vmm/memory/late_copies.h"
#include "vmm/memory/object_pool.h"
#include "vmm/memory/warm_pool.h"

namespace gpremap {

class Stage2 {
  public:
    virtual ~Stage2() = default;

    // What a call changes: the host mappings under the slots (window), or the slots too (memslot). The vCPUs
    // must then be kept out of guest mode.
    struct Choice {
        Mechanism mechanism;  // never automatic
        const char* reason;
        // How often the kernel will flush the TLBs of processors that run vCPUs, if all memory is present.
        uint64_t flushes = 0;
    };
    // How changes that lead away from the space `before` should be carried out.
    virtual Choice choose(const std::vector<remap::Change>& changes, const remap::Space& before) const = 0;

    // Whether the process may have the mappings that the space `after` the changes takes. Where extents are all that
    // counts, their limit says so already.
    virtual bool has_mappings_for(const std::vector<remap::Change>&, const remap::Space&) const {
        return true;
    }

    // Carries the changes out. Returns 0, or the errno of a host call that failed, after undoing what had been
    // done: memory is then as before. ENOMEM, too, where they take more than about `most_work` host calls, for which
    // the vCPUs may be paused. Throws std::system_error where undoing failed too, or finishing what
    // had succeeded: memory is then neither as before nor as planned.
    // `others`: whether a vCPU can run meanwhile.
    enum class Others { may_run, kept_out };
    int apply(const std::vector<remap::Change>& changes, Mechanism mechanism, Others others);

    static constexpr uint64_t most_work = 262144;

    HostCalls& calls() { return calls_; }

    // From now on anonymous memory is taken from the pool and given to it. It must outlive this.
    void use(WarmPool& pool);
    // The same of pages of the object.
    void use(ObjectPool& pool);

    // Of snapshots; nothing is put off before it has been started.
    LateCopies& late_copies() { return late_copies_; }

    // Bytes of anonymous host memory that the guest's ranges hold now, as the kernel counts them.
    uint64_t anonymous_bytes() const;

  protected:
    Stage2(Vm& vm, const remap::Range& aperture, const BackingObject& object);

    // Returns the errno of a host call that failed, or 0.
    virtual int carry_out(const remap::Change& change) = 0;
    // Whether the change can be made directly at the end, when everything else has worked ...
    virtual bool can_destroy(const remap::Change& change) const = 0;
    // ... and that form of it. A failure leaves its memory as it was.
    virtual int destroy(const remap::Change& change) = 0;
    // Before the first change, and after the last.
    enum class Outcome { done, undone };
    virtual void begin() {}
    virtual void end(Outcome) {}

    // What changes are made of; all return the errno.
    int map_anonymous(std::byte* at, uint64_t size, int prot);
    int map_object(std::byte* at, uint64_t size, remap::Memory memory, int prot);
    // Anonymous memory that is about to go: the pool gets what it has room for, in place of which there is
    // then nothing, or (Leaves::zero) what reads zero. The rest is as it was. Returns how much the pool got.
    uint64_t reclaim(std::byte* at, uint64_t size, Leaves leaves);
    // The same once the call has succeeded; to be noted before what then drops the memory.
    void reclaim_at_end(std::byte* at, uint64_t size);
    // `was`: what backs the memory that is copied.
    int copy_to_object(std::byte* from, uint64_t offset, uint64_t size, remap::Memory was);
    int populate(std::byte* at, uint64_t size, remap::Prot prot);
    int move_undoably(std::byte* from, std::byte* to, uint64_t size);
    // Anonymous memory is about to go. What stays beside it is to keep no huge page of which it has only a part.
    void split_at_ends(std::byte* at, uint64_t size) { calls_.split_at_ends(at, size, begin_); }
    // Such memory is about to be moved, and not on its way out.
    void note_shift(remap::Gpa from, remap::Gpa to);

    // TLB flushes, at most: of moving memory of that kind ...
    uint64_t flushes_of_move(uint64_t from, uint64_t to, uint64_t size, remap::MemoryKind kind) const;
    // ... of what the pool gives and gets, where so many bytes are mapped, and reclaimed.
    uint64_t flushes_of_map(uint64_t size) const;
    uint64_t flushes_of_reclaim(uint64_t size) const;
    // New pages of the object are the guest's from now on. Returns how many bytes of them the pool had offered.
    uint64_t take_from_pool(const remap::ObjectRange& pages);
    int free_now(const remap::change::Free& change);
    int free_undoably(const remap::change::Free& change);

    static int host_prot(remap::Prot prot);

    Vm& vm_;
    remap::Range aperture_;  // begins at a 1 GiB boundary, so that whole page tables can be moved
    const BackingObject& object_;
    Reservation reservation_;
    HostCalls calls_;
    Journal journal_;
    LateCopies late_copies_;
    Mechanism mechanism_ = Mechanism::window;  // these: during apply
    Others others_ = Others::may_run;
    bool only_snapshots_ = false;  // all that the call makes

  private:
    int carry_out_all(const std::vector<remap::Change>& changes);
    int free_with_copy(const remap::change::Free& change);
    int carry_out_guarded(const remap::Change& change);
    int map_fresh(std::byte* at, uint64_t size, int prot);

    bool read_later_ = false;  // whether a change that follows reads what pages of the object hold
    HostCalls::HugePages begin_ = HostCalls::HugePages::at_their_size;
    bool has_private_hugetlb_ = false;  // whether there has ever been a private view of such pages
    WarmPool* pool_ = nullptr;          // where there is one
    ObjectPool* object_pool_ = nullptr;
};

}  // namespace gpremap
