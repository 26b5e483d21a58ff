// Text files that a user names.
#pragma once

#include <cstddef>
#include <string>

namespace gpremap {

inline constexpr size_t largest_text = 16u << 20;          // bytes
inline constexpr size_t largest_result = size_t{4} << 30;  // bytes, of a result that this program has written

// The whole of a file, without a byte order mark; "-" is standard input. Throws ConfigError where it cannot be
// read, is no regular file, or has more than `most` bytes.
std::string read_text(const std::string& path, size_t most = largest_text);

}  // namespace gpremap
