// The mechanism `memslot`: a slot for each range that was mapped by one change. Memory stays where it is on the
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

    bool has_mappings_for(const std::vector<remap::Change>& changes,
                          const remap::Space& after) const override;
    Choice choose(const std::vector<remap::Change>& changes, const remap::Space& before) const override;

  private:
    int make(const remap::change::Unmap& change) override;
    int make(const remap::change::Move& change) override;
    int make(const remap::change::Exchange& change) override;
    int map_new(const remap::Range& range, remap::Memory memory, remap::Prot prot) override;
    // Elsewhere in the arena.
    Waiting waiting() const override { return {arena(), Vacant::closed}; }
    Copied copied() const override { return Copied::where_it_is; }

    const uint64_t most_mappings_;  // of this process
};

}  // namespace gpremap
