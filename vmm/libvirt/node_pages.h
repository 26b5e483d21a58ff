// The host's huge pages by libvirt's node API. Without libvirt in the build there is none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace gpremap {

// Sets the size of the host's pool of huge pages of `size` bytes. Returns the connection that did it; nothing where no
// system daemon answers or its driver cannot. That fewer pages could be had is for the caller to see.
std::optional<std::string> set_huge_pages_through_libvirt(uint64_t size, uint64_t pages);

}  // namespace gpremap
