// The tables of a page for a chat or a pull request.
#pragma once

#include <string>

#include "vmm/base/json_file.h"

namespace gpremap {

// Of contents.h: question, numbers, answer, tables, host, and the commands that repeat it.
std::string markdown_of(const JsonObject& contents);

}  // namespace gpremap
