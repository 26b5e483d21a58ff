// Text files that a user names.
#pragma once

#include <string>

namespace gpremap {

// The whole of a file, without a byte order mark. Throws ConfigError where it cannot be read.
std::string read_text(const std::string& path);

}  // namespace gpremap
