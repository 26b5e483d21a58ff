// In place of compare.cpp and all that it needs, where this was built without libvirt.
#include "vmm/base/errors.h"
#include "vmm/compare/compare.h"
#include "vmm/compare/needs.h"

namespace gpremap {

int run_compare(const CompareOptions&, std::ostream&) {
    throw HostLacks(
        "compare: this build has no libvirt: install libvirt-dev and libxml2-dev, and build again with meson "
        "setup "
        "--reconfigure -Dlibvirt=enabled");
}

std::vector<CompareNeed> examine_compare(const std::string&) {
    return {};
}

}  // namespace gpremap
