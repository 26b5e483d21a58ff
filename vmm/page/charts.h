// The charts of a page, each as a file: drawn by what draws them in a page, in an engine inside this process.
#pragma once

#include <string>
#include <vector>

#include "vmm/base/json_file.h"

namespace gpremap {

struct ChartFile {
    std::string name;  // without an ending; letters, digits, "_.-"
    std::string svg;
};

// In the order of the page. Throws std::runtime_error where the engine does.
std::vector<ChartFile> charts_of(const JsonObject& contents);

}  // namespace gpremap
