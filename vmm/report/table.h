// What came of a scenario as a table on standard output, row by row as the steps are done.
#pragma once

#include <iosfwd>
#include <vector>

#include "vmm/report/run_result.h"

namespace gpremap {

enum class Colour { none, ansi };

// The table, 110 columns wide.
class StepTable {
  public:
    StepTable(std::ostream& out, Colour colour) : out_(out), colour_(colour) {}

    void print(const StepResult& step);
    void print_map(const std::vector<MapEntry>& map);

  private:
    std::ostream& out_;
    Colour colour_;
    bool has_header_ = false;
};

// "9 passed, 0 failed", and how many were skipped, if any; then, for each size of which there are both, the median move of the run beside each
// of the guest's own copies. Both times are the guest's.
void print_summary(std::ostream& out, const RunResult& run, Colour colour);

}  // namespace gpremap
