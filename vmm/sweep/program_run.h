// Runs a program to its end.
#pragma once

#include <string>
#include <vector>

namespace gpremap {

// Returns the exit status of `command`, or 128 and the signal that ended it, as shells do. Its standard output goes
// nowhere. It gets no signals of the terminal, which are for whoever waits here, and ends at once with this
// process. Throws std::system_error where it cannot be started.
int run_program(const std::vector<std::string>& command);

}  // namespace gpremap
