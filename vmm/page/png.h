// Pictures of charts.
#pragma once

#include <string>

namespace gpremap {

// The bytes of a PNG of `svg`, twice as large. Throws HostLacks where rsvg-convert is not there, and
// std::runtime_error where it fails.
std::string png_of(const std::string& svg);

}  // namespace gpremap
