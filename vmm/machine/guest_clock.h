// A vCPU's TSC beside the host's clock.
//
//     host    entered ─────────────────────── left      of one KVM_RUN, by the steady clock
//     guest            begin ──── end                   of an empty step in it, by the TSC
//
// The middle of both is taken for the same moment, so it is wrong by half of what lies between entering and leaving,
// at most. Of many such visits the shortest is the best.
#pragma once

#include <chrono>
#include <cstdint>

namespace gpremap {

class Machine;

class GuestClock {
  public:
    using HostTime = std::chrono::steady_clock::time_point;

    // Has `vcpu`, which must have no step to do, do empty steps.
    GuestClock(Machine& machine, unsigned vcpu);

    HostTime host_time(uint64_t tsc) const;
    uint64_t tsc_at(HostTime time) const;
    uint64_t ticks(std::chrono::nanoseconds duration) const;
    uint64_t to_ns(uint64_t ticks) const;

    uint32_t tsc_khz() const { return tsc_khz_; }
    std::chrono::nanoseconds error() const { return error_; }

    // How far this clock has drifted from what `later`, of the same vCPU, has measured: to be added to the error.
    std::chrono::nanoseconds drift(const GuestClock& later) const;

  private:
    uint32_t tsc_khz_;
    uint64_t tsc_ = 0;  // at host_
    HostTime host_;
    std::chrono::nanoseconds error_;
};

}  // namespace gpremap
