#include "vmm/guests/linux/linux_guest.h"
#include "vmm/guests/linux/ring0_probe.h"
#include "vmm/machine/linux.h"

namespace gpremap {

void require_linux(const Kvm& kvm) {
    require_ring0(kvm);
}

std::unique_ptr<Guest> load_linux(const Kvm& kvm, Vm& vm, const MachineConfig& config) {
    require_linux(kvm);
    return std::make_unique<LinuxGuest>(vm, config.vcpus,
                                        Aperture{config.memory.aperture_base, config.memory.aperture_size},
                                        config.linux_guest);
}

}  // namespace gpremap
