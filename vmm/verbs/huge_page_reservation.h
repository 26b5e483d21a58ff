// The host's pool of 2 MiB huge pages, made larger for the time of one run.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "vmm/kvm/kvm.h"

namespace gpremap {

class HugePageReservation {
  public:
    // Adds `pages` to the pool: through libvirt where a system daemon answers, else by the kernel's own
    // setting. Throws HostLacks, with the pool as it was, where the host has not that many or this user may
    // not. None are nothing to do. Made before any thread: it forks.
    explicit HugePageReservation(uint64_t pages);
    // Takes them out again. However this process ends, a second one that waits for its end does so.
    ~HugePageReservation();
    HugePageReservation(const HugePageReservation&) = delete;
    HugePageReservation& operator=(const HugePageReservation&) = delete;

  private:
    void start_guardian();

    uint64_t pages_;
    Descriptor alive_;  // the guardian reads its other end, which ends with this process
    pid_t guardian_ = -1;
};

}  // namespace gpremap
