// In a build without libvirt.
#include "vmm/libvirt/node_pages.h"

namespace gpremap {

std::optional<std::string> set_huge_pages_through_libvirt(uint64_t, uint64_t) {
    return std::nullopt;
}

}  // namespace gpremap
