// In place of all that needs libvirt, in a build without it: each function says so.
#include "vmm/errors.h"
#include "vmm/libvirt/domain.h"

namespace gpremap {

namespace {

[[noreturn]] void refuse(const std::string& what) {
    throw HostLacks(what +
                    ": this build has no libvirt: install libvirt-dev and libxml2-dev, and build again "
                    "with meson setup --reconfigure -Dlibvirt=enabled");
}

}  // namespace

VmDomain parse_domain(const std::string&, const std::string& name) {
    refuse(name + " is a libvirt domain");
}

}  // namespace gpremap
