// The program's log: warnings and up on standard error, and everything asked for in a file. Results do
// not go here, they go to standard output. Use spdlog's own functions to log.
#pragma once

#include <string>

namespace gpremap {

struct LogOptions {
    int verbose = 0;     // how often -v was given: 1 information, 2 and more debug
    bool quiet = false;  // errors only, and no progress
    std::string file;    // also there, behind what it has, with time and level; empty: nowhere
};

// Throws ConfigError where the file takes nothing.
void set_up_log(const LogOptions& options);

// Where the log's file has not taken all that was logged, why not: what it has ends before that. Empty where it
// has all.
std::string log_problem();

}  // namespace gpremap
