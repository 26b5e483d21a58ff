// Results of many runs as one: schema gpremap.merge/1.
#pragma once

#include <string>
#include <vector>

#include "vmm/results/reading.h"

namespace gpremap {

// The runs of all files, in an order that does not depend on that of `paths`. Throws ConfigError as read_runs, and
// where one run is there twice.
std::vector<MeasuredRun> read_all_runs(const std::vector<std::string>& paths);

// With the repetition of each: the how manieth of its parameters on its host it was.
JsonObject merged(const std::vector<MeasuredRun>& runs);

}  // namespace gpremap
