// The dry run of a scenario: its steps are followed on addresses that are made up.
#pragma once

#include "vmm/scenario/scenario.h"

namespace gpremap {

// Finds names that no earlier step defines or that one defined already, ranges that were unmapped,
// offsets behind a range's end (but of a range that another track changes: nobody knows when), addresses outside the aperture, vCPUs that there are not. What a step
// expects to fail is let through: that is how errors are exercised. Throws ConfigError, a line for each step
// that is wrong, or one where the timeline cannot be made.
void check_steps(const Scenario& scenario);

}  // namespace gpremap
