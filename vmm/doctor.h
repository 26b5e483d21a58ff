// `gpremap doctor`: what this host can do, each line with the reason and the mend.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace gpremap {

struct Finding {
    enum class Verdict {
        ok,
        slower,   // everything works, but something would be faster or is not available
        missing,  // gpremap cannot run
    };
    std::string what;
    Verdict verdict = Verdict::ok;
    std::string reason;  // what was found, and what it is for
    std::string mend;    // what to do about it; empty where nothing needs doing
};

std::vector<Finding> examine_host();

struct DoctorOptions {
    std::string json;  // where the result goes, too; empty: nowhere
};

// Prints what examine_host() finds. Returns the exit status: 0 where gpremap can run, 3 otherwise.
int run_doctor(const DoctorOptions& options, std::ostream& out);

}  // namespace gpremap
