// The ioctls that the thread of a vCPU makes on this processor, beside KVM_RUN.
#pragma once

#include <cstdint>
#include <span>

namespace gpremap {

std::span<const uint64_t> vcpu_requests();
// Of one that runs a kernel: its processor before the first entry, and where its own tables lead to.
std::span<const uint64_t> kernel_requests();

}  // namespace gpremap
