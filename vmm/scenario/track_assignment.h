// Which track each step is on, and which vCPU it has.
#pragma once

#include <vector>

#include "vmm/scenario/scenario.h"

namespace gpremap {

// Whether the guest does something for it, on the step's vCPU.
bool uses_vcpu(const ScenarioStep& step);

// Numbers the tracks. Steps inside of a `repeat` are on its track, and have its vCPU where they state none; so have
// the steps of a track that of the step of it that does. Throws ConfigError where two tracks would have one vCPU, or
// a track two of them; for labels that are not there, or twice; and where steps would wait for one another.
void assign_tracks(std::vector<ScenarioStep>& steps);

}  // namespace gpremap
