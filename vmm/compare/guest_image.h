// Kernel and initramfs of the Linux guest, made by guest/baseline/resize_image.py.
#pragma once

#include <filesystem>
#include <string>

#include "vmm/compare/waiter.h"

namespace gpremap {

struct GuestImage {
    std::string kernel;   // path
    std::string initrd;   // path
    std::string release;  // "6.12.117+deb12-cloud-amd64"
};

// Writes both into `folder`. The first time ever it downloads a Debian package, which takes a minute. Throws
// HostLacks with what is missing; Interrupted.
GuestImage make_guest_image(const std::filesystem::path& folder, Waiter& waiter);

}  // namespace gpremap
