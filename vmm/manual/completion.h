// What a shell offers after `gpremap`, as a script for it.
#pragma once

#include <string>

#include "vmm/manual/command_line.h"

namespace gpremap {

std::string bash_completion(const Command& program);
std::string zsh_completion(const Command& program);
std::string fish_completion(const Command& program);

}  // namespace gpremap
