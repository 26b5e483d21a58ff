// The mechanism `memslot`: a slot for each range that was mapped by one step. Memory stays where it is on the
// host; what changes is where its slot shows it to the guest.
//
//     guest-physical   [ slot 3 ]....[ slot 1 ]....[ slot 2 ]      KVM_MR_MOVE takes one elsewhere
//                            \          |         /
//     host arena       [ memory 1 ][ memory 2 ]......[ memory 3 ]  places handed out as they are free
//
// The vCPUs are paused while slots change: a slot that is deleted or moved under a running vCPU turns its
// accesses into MMIO, where locked instructions are emulated as plain ones. Rights are those of the host
// mapping and not KVM_MEM_READONLY: a write to a read-only slot also exits as MMIO, with half of the
// instruction done.
#pragma once

#include <vector>

#include "remap/tree.h"
#include "vmm/stage2/stage2.h"

namespace gpremap {

class Memslots final : public Stage2 {
  public:
    Memslots(Vm& vm, const remap::Range& aperture, const BackingObject& object);

    const char* name() const override { return "memslot"; }
    bool needs_pause() const override { return true; }

  private:
    using HostAddress = remap::Address<struct HostTag>;
    using HostRange = remap::BasicRange<HostAddress>;

    // A slot that KVM has.
    struct Slot {
        remap::Range range;
        HostAddress host;
        uint32_t number;
    };
    // A place of the arena that is taken.
    struct Place {
        HostRange range;
    };
    // Everything that is restored when a call is undone. Copying it is cheap.
    struct Books {
        remap::Tree<Slot, remap::Gpa> slots;
        remap::Tree<Place, HostAddress> places;
    };

    int carry_out(const remap::Step& step) override;
    bool can_destroy(const remap::Step& step) const override;
    int destroy(const remap::Step& step) override;
    void begin() override;
    void end(Outcome outcome) override;

    int make(const remap::step::Map& step);
    int make(const remap::step::View& step);
    int make(const remap::step::Unmap& step);
    int make(const remap::step::Move& step);
    int make(const remap::step::Exchange& step);
    int make(const remap::step::Protect& step);
    int make(const remap::step::Promote& step);
    int make(const remap::step::Privatize& step);
    int make(const remap::step::Copy& step);
    int make(const remap::step::Populate& step);
    int make(const remap::step::Discard& step);
    int make(const remap::step::Free& step);

    // A piece of a range that lies in one slot, where the host has it.
    struct Part {
        remap::Range range;
        std::byte* host;
    };
    std::vector<Part> parts_of(const remap::Range& range) const;
    std::vector<Slot> slots_in(const remap::Range& range) const;

    int take_place(uint64_t size, uint64_t congruent_to, std::byte*& at);
    void leave_place(const HostRange& left);
    void leave_place_at_end(std::byte* at, uint64_t size);
    int set_aside(const Part& part);

    int cut(remap::Gpa at);
    int cut_ends(const remap::Range& range);
    int add(const remap::Range& range, HostAddress host);
    int remove(const Slot& slot);
    int move(const Slot& slot, remap::Gpa to);
    int map_new(const remap::Range& range, remap::Memory memory, remap::Prot prot);

    Books books_, before_;
    std::vector<HostRange> leaving_;                      // places that are free once the call has succeeded
    std::vector<uint32_t> free_numbers_;                  // of slots that were deleted
    std::vector<uint32_t> numbers_taken_, numbers_left_;  // by the call in progress
    uint32_t next_number_ = Vm::agent_slot + 1;
};

}  // namespace gpremap
