// Whether this host's KVM can run a kernel: where it is a VM without nested paging of a hypervisor's own kind, ring 0 is
// interpreted, and some of its instructions are missing.
#pragma once

#include "vmm/kvm/kvm.h"

namespace gpremap {

// Runs a few instructions of ring 0 in a VM of their own. Throws HostLacks, with the way out, where they do not come through.
void require_ring0(const Kvm& kvm);

}  // namespace gpremap
