// What is compared: a range that is resized, the ways to do that, and what is measured of each resize.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace gpremap {

// From `from` to `to` bytes.
struct Resizing {
    uint64_t from = 0;
    uint64_t to = 0;

    bool grows() const { return to > from; }
    uint64_t bytes() const { return grows() ? to - from : from - to; }
    auto operator<=>(const Resizing&) const = default;
};

enum class Way { gpremap, gpremap_linux, balloon, virtio_mem, dimm };
std::string_view name_of(Way way);
// Whether it is one of the QEMU guest's.
constexpr bool is_of_qemu(Way way) {
    return way >= Way::balloon;
}

// One resize, once. Times in ns since it was asked for.
struct Measured {
    uint64_t command = 0;             // until the call, libvirt's or the guest's, returned
    std::optional<uint64_t> event;    // until libvirt told of the whole change
    uint64_t guest = 0;               // until the guest could use the memory, or had given it up
    uint64_t host_before = 0;         // bytes of host memory that the guest had
    uint64_t host_after = 0;          // the same after a shrink, or after the new memory was touched
    std::optional<uint64_t> install;  // the guest's first touch of every new page
    uint64_t lost = 0;                // of the time of a writer on another vCPU, meanwhile
    uint64_t pause = 0;               // the longest that it stood still
};

}  // namespace gpremap
