// What a sweep runs: all combinations of a scenario's parameters, each by a command that stands alone.
#pragma once

#include <string>
#include <vector>

#include "vmm/config/combinations.h"
#include "vmm/config/machine_config.h"

namespace gpremap {

struct SweepPlan {
    std::string program;               // this very one, an absolute path
    std::string file;                  // the scenario, absolute
    std::string text;                  // what is in it
    std::string folder;                // of the results, absolute
    std::vector<std::string> options;  // of `run`, as the user has given them
    std::vector<Combination> combinations;

    // Where the result of a repetition of a combination is. Named by a hash of what decides it: scenario, options and
    // parameters, not its place or number.
    std::string result(size_t combination, unsigned repetition) const;
    // The program and its arguments; without the result's file for a run whose result is not kept.
    std::vector<std::string> command(size_t combination, const std::string& result) const;
};

// Reads the scenario, and checks every combination as `check` does. `program` and `folder` as in SweepPlan, but for
// `folder`, which may be relative. Throws ConfigError, also where there is no combination.
SweepPlan read_sweep(const std::string& file, const Overrides& overrides, const std::string& program,
                     const std::string& folder);

// Of the scenario `file`. Throws ConfigError.
std::vector<Combination> combinations_of(const std::string& file, const std::vector<ParameterSetting>& set);

// "size=64MiB times=3", as --set has them.
std::string described(const Combination& combination);
// As a shell reads it.
std::string shell_line(const std::vector<std::string>& command);

}  // namespace gpremap
