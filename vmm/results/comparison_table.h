// A comparison as people read it.
#pragma once

#include <iosfwd>

#include "vmm/results/comparison.h"

namespace gpremap {

// A row for each metric, and a line with what decided.
void print(const ResultComparison& comparison, const JudgementOptions& options, std::ostream& out);

// To the log, where the two are of different hosts.
void warn_of_other_hosts(const ResultComparison& comparison);

}  // namespace gpremap
