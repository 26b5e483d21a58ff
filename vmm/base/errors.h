// The ways in which a run of the program can end other than by its results. main.cpp maps each to its exit
// status.
#pragma once

#include <stdexcept>
#include <string>

namespace gpremap {

// Bad usage, configuration or case file; nothing was run. Exit status 2.
// The message names file, line and key where there is one, and says what was expected.
struct ConfigError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The host lacks something that the run needs. Exit status 3. The message names it and how to mend it.
struct HostLacks : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A HostLacks whose message ends in the mend, "WHAT: WHY: MEND", taken apart.
struct Lack {
    std::string reason;
    std::string mend;
};
inline Lack lack_of(const HostLacks& error) {
    const std::string text = error.what();
    const size_t mend = text.rfind(": ");
    if (mend == std::string::npos) return {text, ""};
    return {text.substr(0, mend), text.substr(mend + 2)};
}

// The guest died: triple fault, unknown exit, unhandled fault. Exit status 4. The message is the whole
// report.
struct GuestDied : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace gpremap
