// The mechanism `window`: large memslots over reserved host address space; what is mapped where is changed
// by the host mappings under them, and reaches the guest through KVM's MMU notifiers.
//
//     guest-physical   base ....[ extent ]......[ extent ]....
//                       |  same distance from the base  |
//     home             W .......[ memory ]......[ memory ]....    the rest is PROT_NONE
//     annex            M .......................................    nothing; memory that is on its way
//
// vCPUs run on. One that touches memory in motion gets EFAULT from KVM_RUN and asks Remapper::fault, which
// waits for the lock that the call in progress holds.
//
// `auto` is this mechanism with one exception. mremap splits huge pages where source and destination differ
// modulo 2 MiB. Memory then stays where it is on the host, and what moves is a slot that is cut out of the
// window, with the vCPUs paused:
//
//     guest-physical   ....[ window ][ from: no slot ][ window ].....[ window ][ to ][ window ]
//     home             ....[        ][    memory     ][        ]                 |
//                                        ^--------------------------------------'
//
// What is mapped at `from` later finds its home taken, and gets a place in the annex.
#pragma once

#include <vector>

#include "vmm/memory/slotted.h"

namespace gpremap {

class Window final : public SlottedStage2 {
  public:
    // `object` may be mapped by every extent; both must outlive the window. `mechanism`: window, or
    // automatic. Throws HostLacks.
    Window(Vm& vm, const remap::Range& aperture, const BackingObject& object, Mechanism mechanism);

    Choice choose(const std::vector<remap::Change>& changes, const remap::Space& before) const override;

  private:
    bool can_destroy(const remap::Change& change) const override;
    int destroy(const remap::Change& change) override;

    int make(const remap::change::Unmap& change) override;
    int make(const remap::change::Move& change) override;
    int make(const remap::change::Exchange& change) override;
    int map_new(const remap::Range& range, remap::Memory memory, remap::Prot prot) override;
    Waiting waiting() const override { return {annex(), Vacant::hole}; }
    Copied copied() const override { return Copied::after_it_was_set_aside; }

    // Memory on its way from one place to another, each in one piece.
    struct Passage {
        std::byte* from;
        std::byte* to;
        uint64_t size;
    };
    std::vector<Passage> passages(const remap::Range& from, const remap::Range& to) const;
    Choice choose_mechanism(const std::vector<remap::Change>& changes, const remap::Space& before) const;
    bool is_one_host_call(const remap::Change& change) const;
    uint64_t flushes_of(const std::vector<remap::Change>& changes, const remap::Space& before) const;
    uint64_t flushes_of(const remap::Change& change, bool directly, const remap::Space& before) const;
    uint64_t flushes_of_move(const remap::Range& from, const remap::Range& to,
                             const remap::Space& before) const;
    uint64_t flushes_aside(const remap::Range& range, const remap::Space& before) const;
    template <class Target>
    uint64_t flushes_of_parts(const remap::Range& range, const remap::Space& before, Target target) const;
    uint64_t host_of(remap::Gpa at) const;
    bool splits_huge_pages(const remap::Range& from, const remap::Range& to) const;
    bool splits_huge_pages(const remap::Change& change, const remap::Space& before) const;
    bool holds_transparent(const remap::Space& space, const remap::Range& range) const;
    bool is_badly_placed(const remap::Range& range) const;

    int open_slots(const remap::Range& range);
    int open_slot(const remap::Range& gap);
    int remove_slots(const remap::Range& range);
    int move_by_slots(const remap::Range& from, const remap::Range& to);
    int move_over_itself(const remap::Range& from, const remap::Range& to);
    int move_apart(const Passage& passage);
    bool may_leave(uint64_t size) const;
    int destroy(const Part& part, const std::vector<remap::Range>& anonymous);
    int discard(const Part& part);

    const bool may_move_slots_;
};

}  // namespace gpremap
