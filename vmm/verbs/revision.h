// Of which sources this program was built. revision.cpp is made by the build.
#pragma once

#include <string>
#include <string_view>

namespace gpremap {

// git's name of it, with "-dirty" where the sources were changed since; "unknown" without git.
extern const std::string_view revision;

// "gpremap 0.1.0 (revision 92f9d3f1a2b3)"
std::string version_text();

}  // namespace gpremap
