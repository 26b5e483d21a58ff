// The dry run of a scenario: its steps are followed on addresses that are made up.
#pragma once

#include "vmm/scenario.h"

namespace gpremap {

// What a call that returned `result` means for the names of ranges.
void follow_call(const CallAction& call, uint64_t result, Names& names);

// Where a call that succeeds will put its result, as far as the arguments say; `otherwise` for a place
// that the VMM chooses.
uint64_t predicted_result(const CallAction& call, const Names& names, uint64_t otherwise);

// Finds names that no earlier step defines or that one defined already, ranges that were unmapped,
// offsets behind a range's end, addresses outside the aperture, vCPUs that there are not. What a step
// expects to fail is let through: that is how errors are exercised. Throws ConfigError, a line each.
void check_steps(const Scenario& scenario);

}  // namespace gpremap
