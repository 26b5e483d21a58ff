// The parameters of a scenario:
//
//     [parameters]
//     size = "256MiB"
//     ...
//     map = { name = "heap", size = "$size" }          # has the parameter's type
//     grow = { range = "heap", new_size = "+${size}" } # as text
//
// `$$` is a dollar. --set stands in place of the file's values. A list is a dimension of a sweep.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/config/parameter.h"
#include "vmm/config/toml_reader.h"

namespace gpremap {

// As it stands within a longer text.
std::string text_of(const ParameterValue& value);
// What --set reads as `value`: "3" for the number, "\"3\"" for the text.
std::string setting_of(const ParameterValue& value);

// "size=1GiB", as --set has it: a number, a boolean, a text in quotes, or a list of them, and any other is a text.
// Throws ConfigError.
ParameterSetting read_setting(const std::string& text);
// The value of a parameter in a file: one or a list. Throws ConfigError.
ParameterSetting read_parameter(const TomlValue& value);

// Those of the file, in its order, with `set` in their place. Throws ConfigError for what is wrong with either.
std::vector<ParameterSetting> read_parameters(const TomlTable& root,
                                              const std::vector<ParameterSetting>& set);

// Puts the parameters' values into `file`, and returns them. Throws ConfigError; also for one that nothing uses, and
// for a list, which is for sweeps.
std::vector<ParameterAssignment> substitute_parameters(TomlFile& file,
                                                       const std::vector<ParameterSetting>& set);

// As results say them: by name.
JsonObject json_of(const std::vector<ParameterAssignment>& parameters);

// The tables of a file that say what its parameters are.
inline constexpr std::string_view parameter_tables[] = {"parameters", "sweep"};

}  // namespace gpremap
