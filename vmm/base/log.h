// The program's log: warnings and up on standard error, and everything asked for in a file. Results do
// not go here, they go to standard output. Use spdlog's own functions to log.
#pragma once

#include <string>

namespace gpremap {

struct LogOptions {
    int verbose = 0;     // how often -v was given: 1 information, 2 debug, 3 every hypercall
    bool quiet = false;  // errors only, and no progress
    std::string file;    // also there, with time and level; empty: nowhere
};

// Throws ConfigError where the file cannot be written.
void set_up_log(const LogOptions& options);

}  // namespace gpremap
