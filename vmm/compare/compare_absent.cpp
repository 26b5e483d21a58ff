// In place of compare_verb.cpp and all that it needs, where this was built without libvirt.
#include "vmm/compare/compare_verb.h"
#include "vmm/errors.h"

namespace gpremap {

int run_compare(const CompareOptions&, std::ostream&) {
    throw HostLacks(
        "compare: this build has no libvirt: install libvirt-dev and libxml2-dev, and build again with meson "
        "setup "
        "--reconfigure -Dlibvirt=enabled");
}

}  // namespace gpremap
