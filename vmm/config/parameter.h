// Parameters of a scenario as plain data: vmm/config/parameters reads them.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace gpremap {

using ParameterValue = std::variant<bool, int64_t, double, std::string>;

// A parameter that has one value.
struct ParameterAssignment {
    bool operator==(const ParameterAssignment&) const = default;

    std::string name;
    ParameterValue value;
};

// A parameter as a file or --set has it.
struct ParameterSetting {
    std::string name;
    std::vector<ParameterValue> values;  // at least one, none twice
    bool is_list = false;                // it may be of one value
    std::string origin;                  // for messages: "FILE:LINE", "--set size=1GiB"
};

}  // namespace gpremap
