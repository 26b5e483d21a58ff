// The combinations of a scenario's parameters: those that are lists, each with each.
//
//     [sweep]
//     size = ["64MiB", "1GiB"]          # of a parameter that has a single value in [parameters]
//     zip = ["size", "times"]           # these go on together; true: all lists
//     exclude = [ { size = "1GiB", word = true } ]
#pragma once

#include <vector>

#include "vmm/config/parameters.h"

namespace gpremap {

// A value of each of the file's parameters, in its order.
using Combination = std::vector<ParameterAssignment>;

// In one order: the last parameter goes first. What `set` says stands in place of [parameters] and [sweep]. None
// where all are excluded; one where no parameter is a list. Throws ConfigError.
std::vector<Combination> read_combinations(const TomlTable& root, const std::vector<ParameterSetting>& set);

}  // namespace gpremap
