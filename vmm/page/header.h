// What a scenario says of itself in its first lines.
#pragma once

#include <string>

namespace gpremap {

// Without the words "Question" and "Answer"; lines that belong together are one. Empty where the scenario does not say.
//
//     # Question: what does it cost?
//     #
//     #     gpremap run this.toml
//     #
//     # Answer: look at the dip.
struct ScenarioHeader {
    std::string question;
    std::string answer;
};

ScenarioHeader header_of(const std::string& scenario);

}  // namespace gpremap
