// What carries a plan's steps out on real memory: all of them, or none. `window` and `memslots` are the two
// ways.
//
// A step notes how to undo it before it can have an effect that needs undoing. What is destroyed is set aside
// until everything has worked, or left for the end.
#pragma once

#include <sys/mman.h>

#include <cstdint>
#include <vector>

#include "remap/plan.h"
#include "vmm/kvm/vm.h"
#include "vmm/memory/backing_object.h"
#include "vmm/memory/host_calls.h"
#include "vmm/memory/reservation.h"
#include "vmm/memory/warm_pool.h"

namespace gpremap {

class Stage2 {
  public:
    virtual ~Stage2() = default;

    // What a call changes: the host mappings under the slots, or the slots too. The vCPUs must then be kept
    // out of guest mode.
    enum class Way { window, memslot };
    struct Choice {
        Way way;
        const char* reason;
    };
    // How steps that lead away from the space `before` should be carried out.
    virtual Choice choose(const std::vector<remap::Step>& steps, const remap::Space& before) const = 0;

    // Carries the steps out. Returns 0, or the errno of a host call that failed, after undoing what had been
    // done: memory is then as before. Throws std::system_error where undoing failed too.
    // `others`: whether a vCPU can run meanwhile.
    enum class Others { may_run, kept_out };
    int apply(const std::vector<remap::Step>& steps, Way way, Others others);

    HostCalls& calls() { return calls_; }

    // From now on anonymous memory is taken from the pool and given to it. It must outlive this.
    void use(WarmPool& pool) { pool_ = &pool; }

    // Bytes of anonymous host memory that the guest's ranges hold now, as the kernel counts them.
    uint64_t anonymous_bytes() const;

  protected:
    Stage2(Vm& vm, const remap::Range& aperture, const BackingObject& object);

    // One host call that undoes or finishes something. Plain data, so that noting it allocates nothing.
    struct HostAction {
        enum class Kind { move, close, protect, view, punch_hole, put_back, drop, set_slot, reclaim };
        Kind kind;
        std::byte* at = nullptr;
        std::byte* to = nullptr;  // of a move
        uint64_t size = 0;
        int prot = 0;         // protect, view
        uint64_t offset = 0;  // view, punch_hole, put_back: in the backing object
        uint32_t slot = 0;    // set_slot
        uint64_t gpa = 0;     // set_slot
    };

    // Returns the errno of a host call that failed, or 0.
    virtual int carry_out(const remap::Step& step) = 0;
    // Whether the step can be made directly at the end, when everything else has worked ...
    virtual bool can_destroy(const remap::Step& step) const = 0;
    // ... and that form of it. A failure leaves its memory as it was.
    virtual int destroy(const remap::Step& step) = 0;
    // Before the first step, and after the last.
    enum class Outcome { done, undone };
    virtual void begin() {}
    virtual void end(Outcome) {}

    // To be called before something is done that is noted afterwards.
    void make_room_for_notes(size_t count);
    void undo(const HostAction& action) { undo_.push_back(action); }
    void finish(const HostAction& action) { finish_.push_back(action); }

    // What steps are made of; all return the errno.
    int map_anonymous(std::byte* at, uint64_t size, int prot);
    int map_object(std::byte* at, uint64_t size, remap::Memory memory, int prot);
    // Anonymous memory that is about to go: the pool gets what it has room for, in place of which there is
    // then nothing, or (Leaves::zero) what reads zero. The rest is as it was. Returns how much the pool got.
    uint64_t reclaim(std::byte* at, uint64_t size, Leaves leaves);
    // The same once the call has succeeded; to be noted before what then drops the memory.
    void reclaim_at_end(std::byte* at, uint64_t size);
    // `was`: what backs the memory that is copied.
    int copy_to_object(std::byte* from, uint64_t offset, uint64_t size, remap::Memory was);
    int close(std::byte* at, uint64_t size);
    int populate(std::byte* at, uint64_t size, remap::Prot prot);
    int move_undoably(std::byte* from, std::byte* to, uint64_t size);
    int set_slot(uint32_t slot, uint64_t gpa, uint64_t size, std::byte* host);
    int free_now(const remap::step::Free& step);
    int free_undoably(const remap::step::Free& step);

    static constexpr int closed_flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    static int host_prot(remap::Prot prot);

    Vm& vm_;
    remap::Range aperture_;  // begins at a 1 GiB boundary, so that whole page tables can be moved
    const BackingObject& object_;
    Reservation reservation_;
    HostCalls calls_;
    Way way_ = Way::window;  // these two: during apply
    Others others_ = Others::may_run;

  private:
    int carry_out_all(const std::vector<remap::Step>& steps);
    int free_with_copy(const remap::step::Free& step);
    int carry_out_guarded(const remap::Step& step);
    template <class Attempt>
    int with_room(Attempt attempt);
    void undo_all();
    void finish_all();
    int perform(const HostAction& action);
    int punch_hole(uint64_t offset, uint64_t size);
    int map_fresh(std::byte* at, uint64_t size, int prot);
    int ask_for_huge_pages(std::byte* at, uint64_t size);

    bool read_later_ = false;         // whether a step that follows reads what pages of the object hold
    WarmPool* pool_ = nullptr;        // where there is one
    std::vector<HostAction> undo_;    // performed last to first
    std::vector<HostAction> finish_;  // performed first to last
};

}  // namespace gpremap
