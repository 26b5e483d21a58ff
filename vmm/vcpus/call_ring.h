// One vCPU's ring (guest/abi/ring.h), as the host reads and writes it. What the guest writes is read once and not trusted:
// counters that make no sense break the ring, and nothing else.
#pragma once

#include <cstdint>
#include <vector>

#include "guest/abi/ring.h"

namespace gpremap {

class CallRing {
  public:
    // `shared` is in the guest's memory, which others write meanwhile, and outlives this.
    explicit CallRing(gpremap_ring& shared) : shared_(&shared) {}

    // The calls that are to be made now as one, without flags: none, one, or all of a batch. At most GPREMAP_RING_ENTRIES,
    // and no more than there is room for results.
    std::vector<gpremap_ring_call> take();
    // The next result. The guest sees it after publish().
    void answer(uint64_t tag, int64_t result);
    void publish();
    // GPREMAP_RING_ASLEEP or 0. A broken ring stays broken.
    void set_state(uint32_t state);

  private:
    uint32_t calls_ready();

    gpremap_ring* shared_;
    uint32_t taken_ = 0;
    uint32_t completed_ = 0;
    bool is_broken_ = false;
};

}  // namespace gpremap
