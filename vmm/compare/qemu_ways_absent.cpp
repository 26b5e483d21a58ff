// In place of qemu_ways.cpp and all that it needs, where this was built without libvirt.
#include <stdexcept>

#include "vmm/compare/needs.h"
#include "vmm/compare/qemu_ways.h"

namespace gpremap {

bool can_compare_with_qemu() {
    return false;
}

std::unique_ptr<QemuWays> open_qemu_ways(const CompareOptions&, const Schedule&, Waiter&) {
    throw std::logic_error("there is no libvirt in this build");
}

}  // namespace gpremap
