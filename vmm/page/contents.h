// All that a page says, as JSON: what charts.js draws and page.js writes.
#pragma once

#include <string>
#include <vector>

#include "vmm/page/run.h"

namespace gpremap {

enum class Following { no, journal };  // whether the page asks for more, again and again

// Keys: `title`, `question`, `answer`, `numbers` and `tables[]` (tables.h), `runs[]` (what charts.js draws), `host` (a
// table), `scenario`, `commands[]`, `notes[]`, `live`. At least one run. Throws nlohmann::json::exception where one is not
// what its schema says.
JsonObject contents_of(const std::vector<ShownRun>& runs, Following following);

}  // namespace gpremap
