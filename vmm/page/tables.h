// The tables of a page, as text: the same for HTML and Markdown.
#pragma once

#include <string>
#include <vector>

#include "vmm/page/run.h"

namespace gpremap {

// Rows have as many cells as the head. The first column names what a row is about.
struct Table {
    std::string title;
    std::string note;  // how to read it; may be empty
    std::vector<std::string> head;
    std::vector<std::vector<std::string>> rows;
};

// What stands beside the question: a row for each measure, with and without calls, a column for each run.
Table numbers_of(const std::vector<ShownRun>& runs);

// All others, those without rows left out. Where there are several runs, the first is the baseline of the others.
std::vector<Table> tables_of(const std::vector<ShownRun>& runs);

// The name of a metric, among those of other parameters.
std::string with_parameters(std::string name, const JsonObject& parameters);

JsonObject json_of(const Table& table);

}  // namespace gpremap
