// What came of a scenario as a table on standard output, row by row as the steps are done.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/terminal.h"
#include "vmm/report/run_result.h"
#include "vmm/report/statistics.h"

namespace gpremap {

class StepTable {
  public:
    // `width` in characters. Where it is more than the table needs, arguments and results have the room; where
    // it is less, they and the system calls are narrower, and then columns go, from the right.
    StepTable(std::ostream& out, Colour colour, size_t width);

    // A row; one of all turns, once the last of them is there, of a step that has more than a few. Turns that have
    // failed have rows of their own, up to as many.
    void print(const StepResult& step);
    // The steps whose last turn has not come.
    void print_unfinished();
    void print_map(const std::vector<MapEntry>& map);

  private:
    enum class Align { left, right };
    struct Column {
        std::string_view title;
        size_t width;
        Align align;
    };

    static constexpr size_t few = 4;

    void print_row(const StepResult& step);
    void print_turns(const Turns& turns);

    static std::vector<Column> columns_for(size_t width);
    void print_header();
    // A cell for each column, and maybe more.
    void print_cells(const std::vector<Column>& columns, const std::vector<std::string>& cells);
    static std::string line_of(const std::vector<Column>& columns,
                               const std::vector<std::vector<std::string>>& wrapped, size_t line);

    std::ostream& out_;
    Colour colour_;
    std::vector<Column> columns_;
    bool has_header_ = false;
    std::map<size_t, Turns> unfinished_;  // by StepResult::row
};

// "9 passed, 0 failed", and how many were skipped, if any; then, for each size of which there are both, the median move of the run beside each
// of the guest's own copies. Both times are the guest's.
void print_summary(std::ostream& out, const RunResult& run, Colour colour);

}  // namespace gpremap
