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

#include "vmm/memory/slotted.h"

namespace gpremap {

class Memslots final : public SlottedStage2 {
  public:
    Memslots(Vm& vm, const remap::Range& aperture, const BackingObject& object);

    Choice choose(const std::vector<remap::Step>& steps, const remap::Space& before) const override;

  private:
    int carry_out(const remap::Step& step) override;
    bool can_destroy(const remap::Step& step) const override;
    int destroy(const remap::Step& step) override;

    using SlottedStage2::make;
    int make(const remap::step::Map& step);
    int make(const remap::step::View& step);
    int make(const remap::step::Unmap& step);
    int make(const remap::step::Move& step);
    int make(const remap::step::Exchange& step);
    int make(const remap::step::Promote& step);
    int make(const remap::step::Privatize& step);
    int make(const remap::step::Populate& step);
    int make(const remap::step::Discard& step);
    int make(const remap::step::Free& step);

    int map_new(const remap::Range& range, remap::Memory memory, remap::Prot prot);
    int set_aside(const Part& part, const std::vector<remap::Range>& anonymous = {});
    void close_at_end(std::byte* at, uint64_t size);
};

}  // namespace gpremap
