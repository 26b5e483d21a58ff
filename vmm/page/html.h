// The page itself: one file that needs no other.
#pragma once

#include <string>

#include "vmm/base/json_file.h"

namespace gpremap {

// Of contents.h. A page that is live asks where it came from for `contents.json`; any other asks for nothing.
std::string html_of(const JsonObject& contents);

}  // namespace gpremap
