// Manual pages of section 1, in the macros of man(7): one of the program, and one of each of its verbs.
#pragma once

#include <string>

#include "vmm/manual/command_line.h"

namespace gpremap {

// gpremap(1)
std::string program_page(const Command& program, const std::string& version);
// gpremap-VERB(1)
std::string verb_page(const Command& program, const Command& verb, const std::string& version);

}  // namespace gpremap
