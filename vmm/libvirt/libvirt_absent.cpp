// In place of all that needs libvirt, in a build without it: each function says so.
#include "vmm/base/errors.h"
#include "vmm/libvirt/diagnosis.h"
#include "vmm/libvirt/domain.h"
#include "vmm/libvirt/qemu_domain.h"

namespace gpremap {

namespace {

constexpr const char* mend =
    "install libvirt-dev and libxml2-dev, and build again with meson setup --reconfigure -Dlibvirt=enabled";

[[noreturn]] void refuse(const std::string& what) {
    throw HostLacks(what + ": this build has no libvirt: " + mend);
}

}  // namespace

VmDomain parse_domain(const std::string&, const std::string& name) {
    refuse(name + " is a libvirt domain");
}

std::string to_xml(const QemuDomain& domain) {
    refuse(domain.name + " cannot be written as a libvirt domain");
}

std::vector<LibvirtFinding> examine_libvirt() {
    return {{"libvirt", false, "this build has none: no domain files, no export-domain, no QEMU in compare",
             mend}};
}

}  // namespace gpremap
