// `gpremap check FILE...`: parses and validates scenarios, case files and libvirt domains; runs nothing.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace gpremap {

// Writes "FILE: ok (N steps)" to `out` for each file that is right, and which elements of a domain are
// ignored. A file with [[case]] in it is a case file, any other a scenario. Throws ConfigError with
// everything that is wrong with the others.
int run_check(const std::vector<std::string>& files, std::ostream& out);

}  // namespace gpremap
