// Where a result comes from: enough to judge its figures, and to make it again.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/config/machine_config.h"
#include "vmm/host/conditions.h"

namespace gpremap {

struct Provenance {
    std::string revision;              // of the program; "unknown" where it was built without git
    std::vector<std::string> command;  // the program's name, and its arguments
    std::string folder;                // in which it was called: what relative names begin with
    std::chrono::system_clock::time_point started;
    HostConditions before;
    HostConditions after;
};

// Of a run: what it was asked for, in full.
struct ScenarioSource {
    std::string file;     // as it was named
    std::string text;     // of that file
    Overrides overrides;  // what the command line says in its place
};

JsonObject json_of(const Provenance& provenance);
JsonObject json_of(const ScenarioSource& source);

// In hexadecimal.
std::string sha256_of(std::string_view text);

// "2026-11-22T08:15:30.125Z"
std::string utc(std::chrono::system_clock::time_point time);

}  // namespace gpremap
