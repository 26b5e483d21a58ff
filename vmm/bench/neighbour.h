// A second vCPU of a rig, which only writes, or only reads, and measures how long it is held up.
#pragma once

#include <array>
#include <cstdint>

#include "guest/abi/agent.h"
#include "vmm/bench/rig.h"

namespace gpremap {

class Neighbour {
  public:
    // By vCPU 1 of `rig`. It writes or reads a word of each page of the first `size` bytes at the first place that is
    // mapped of the two, page after page.
    Neighbour(Rig& rig, abi::FaultKind access, const std::array<uint64_t, 2>& places, uint64_t size);

    // Starts, waits until every page has been accessed, does `disturb`, waits until every page has been accessed
    // once more, and stops. Returns the longest time between two accesses, in ns. Throws std::runtime_error for
    // what cannot be, such as one that is longer than all of it.
    template <typename Disturb>
    uint64_t longest_gap(Disturb disturb) {
        start();
        wait_for_a_round();
        disturb();
        wait_for_a_round();
        return stop();
    }

  private:
    void start();
    void wait_for_a_round();
    uint64_t stop();
    abi::Pulse read() const;

    Rig& rig_;
    abi::FaultKind access_;
    std::array<uint64_t, 2> places_;
    uint64_t pages_;
};

}  // namespace gpremap
