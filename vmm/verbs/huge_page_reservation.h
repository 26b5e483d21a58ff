// One of the host's pools of huge pages, made larger for the time of one run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "vmm/host/guardian.h"

namespace gpremap {

struct HugePagesWanted {
    uint64_t size = 2ull << 20;  // of each, bytes
    uint64_t count = 0;
};

// "8" and "2M:8" of 2 MiB, "1G:2" of 1 GiB. The error is what was expected in its place.
tl::expected<HugePagesWanted, std::string_view> parse_huge_pages(std::string_view text);

class HugePageReservation {
  public:
    // Adds `wanted` to the pool of that size: through libvirt where a system daemon answers, else by the kernel's own
    // setting. Throws HostLacks, with the pool as it was, where the host has not that many or this user may
    // not. None are nothing to do. Made before any thread: it forks.
    explicit HugePageReservation(const HugePagesWanted& wanted);
    // Takes them out again. However this process ends, and be it while they are added, a second one that waits for
    // its end does so.
    ~HugePageReservation() = default;
    HugePageReservation(const HugePageReservation&) = delete;
    HugePageReservation& operator=(const HugePageReservation&) = delete;

  private:
    void add_pages();
    std::string name() const;

    const HugePagesWanted wanted_;
    uint64_t before_ = 0;               // pages in the pool
    std::optional<Guardian> guardian_;  // gives them back
};

}  // namespace gpremap
