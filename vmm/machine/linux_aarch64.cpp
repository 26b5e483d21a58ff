#include "vmm/base/errors.h"
#include "vmm/machine/linux.h"

namespace gpremap {

namespace {

[[noreturn]] void refuse() {
    throw HostLacks("guest = \"linux\" is made for x86-64 alone: use the agent here");
}

}  // namespace

void require_linux(const Kvm&) {
    refuse();
}

std::unique_ptr<Guest> load_linux(const Kvm&, Vm&, const MachineConfig&) {
    refuse();
}

}  // namespace gpremap
