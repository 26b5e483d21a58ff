// The predicted second-stage table beside the one that KVM says it has.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "remap/stage2/prediction.h"

namespace gpremap {

class Machine;

// Of the whole VM, the agent's own memory included.
struct Stage2Comparison {
    remap::stage2::Leaves predicted;
    remap::stage2::Leaves reported;

    bool agree() const { return predicted == reported; }
};

// Whether the table that KVM fills is ARM's.
bool is_arm_stage2(Machine& machine);

// First has KVM map everything that the host has in memory; what it has not, nobody touches. No vCPU may have
// a step to do. Or the reason why this host cannot compare them. The kernel's own collapsing of small pages
// (khugepaged), when it comes in between, makes them differ once.
tl::expected<Stage2Comparison, std::string> compare_with_kvm(Machine& machine);

}  // namespace gpremap
