#include "vmm/base/errors.h"
#include "vmm/machine/linux.h"

namespace gpremap {

std::unique_ptr<Guest> load_linux(const Kvm&, Vm&, const MachineConfig&) {
    throw HostLacks("guest = \"linux\" is made for x86-64 alone: use the agent here");
}

}  // namespace gpremap
