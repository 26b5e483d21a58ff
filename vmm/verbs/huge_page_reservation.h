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
    // Takes them out again. However this process ends, and be it while they are added, a second one that waits for
    // its end does so.
    ~HugePageReservation();
    HugePageReservation(const HugePageReservation&) = delete;
    HugePageReservation& operator=(const HugePageReservation&) = delete;

  private:
    void add_pages();
    void start_guardian();
    [[noreturn]] void guard(int parent) const;
    void end_guardian();

    uint64_t pages_;
    uint64_t before_ = 0;  // pages in the pool
    Descriptor alive_;     // the guardian has the other end, and sees this process end
    pid_t guardian_ = -1;
};

}  // namespace gpremap
