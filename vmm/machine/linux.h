// The guest that is a Linux, where there is one: linux_<architecture>.cpp.
#pragma once

#include <memory>

#include "vmm/config/machine_config.h"
#include "vmm/kvm/vm.h"
#include "vmm/vcpus/guest.h"

namespace gpremap {

// Throws HostLacks where there is no such guest, or this host's KVM cannot run its kernel.
void require_linux(const Kvm& kvm);

// Throws HostLacks where this processor cannot run it, or no such guest is made for it.
std::unique_ptr<Guest> load_linux(const Kvm& kvm, Vm& vm, const MachineConfig& config);

}  // namespace gpremap
