// The mechanism `window`: large memslots over reserved host address space; what is mapped where is changed
// by the host mappings under them, and reaches the guest through KVM's MMU notifiers.
//
//     guest-physical   base ....[ extent ]......[ extent ]....
//                       |  same distance from the base  |
//     host window      W .......[ memory ]......[ memory ]....    the rest is PROT_NONE
//     host mirror      M .......................................    nothing; memory that is on its way
//
// vCPUs run on. One that touches memory in motion gets EFAULT from KVM_RUN and asks Remapper::fault, which
// waits for the lock that the call in progress holds.
#pragma once

#include <set>
#include <vector>

#include "remap/plan.h"
#include "vmm/backing_object.h"
#include "vmm/host_calls.h"
#include "vmm/stage2/reservation.h"
#include "vmm/vm.h"

namespace gpremap {

class Window {
  public:
    // `object` may be mapped by every extent; both must outlive the window. Throws HostLacks.
    Window(Vm& vm, const remap::Range& aperture, const BackingObject& object);

    // Carries the steps out. Returns 0, or the errno of a host call that failed, after undoing what had been
    // done: memory is then as before. Throws std::system_error where undoing failed too.
    int apply(const std::vector<remap::Step>& steps);

    HostCalls& calls() { return calls_; }

    // Bytes of anonymous host memory in the window now, as the kernel counts them.
    uint64_t anonymous_bytes() const;

  private:
    // One host call that undoes or finishes something. Plain data, so that noting it allocates nothing.
    struct HostAction {
        enum class Kind { move, close, protect, view, punch_hole, drop };
        Kind kind;
        std::byte* at = nullptr;
        std::byte* to = nullptr;  // of a move
        uint64_t size = 0;
        int prot = 0;         // protect, view
        uint64_t offset = 0;  // view, punch_hole: in the backing object
    };

    // What was done and how to undo it, and what is left to do when nothing can fail any more.
    struct Transaction {
        std::vector<HostAction> undo;    // performed last to first
        std::vector<HostAction> finish;  // performed first to last
    };

    int carry_out(const remap::step::Map& step);
    int carry_out(const remap::step::View& step);
    int carry_out(const remap::step::Unmap& step);
    int carry_out(const remap::step::Move& step);
    int carry_out(const remap::step::Exchange& step);
    int carry_out(const remap::step::Protect& step);
    int carry_out(const remap::step::Promote& step);
    int carry_out(const remap::step::Privatize& step);
    int carry_out(const remap::step::Copy& step);
    int carry_out(const remap::step::Populate& step);
    int carry_out(const remap::step::Discard& step);
    int carry_out(const remap::step::Free& step);
    int destroy(const remap::Step& step);

    int perform(const HostAction& action);
    std::byte* host(remap::Gpa at) const;
    std::byte* mirror(remap::Gpa at) const;
    int open_slots(const remap::Range& range);
    int map_anonymous(const remap::Range& range, remap::Prot prot);
    int map_object(const remap::Range& range, remap::Memory memory, int host_prot);
    int close(std::byte* at, uint64_t size);
    int close_vacated(const remap::Range& range);
    int displace(const remap::Range& range);
    void allow_writing_at_end(const remap::Range& range, int prot);
    void undo(const HostAction& action);
    int move_undoably(std::byte* from, std::byte* to, uint64_t size);
    int move_memory(std::byte* from, std::byte* to, uint64_t size);
    int move_by_mapping(std::byte* from, std::byte* to, uint64_t size);
    int carry_out_all(const std::vector<remap::Step>& steps);
    int carry_out_one(const remap::Step& step);
    void undo_all();

    Vm& vm_;
    remap::Range aperture_;
    const BackingObject& object_;
    Reservation reservation_;
    HostCalls calls_;
    std::set<uint64_t> open_;  // numbers of the chunks of the aperture that have a slot
    Transaction transaction_;
};

}  // namespace gpremap
