// The ranges that steps would have made, had they not failed: what needs one of them is skipped.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "vmm/scenario/scenario.h"

namespace gpremap {

// The names of ranges that a step needs from other steps, and of those that it makes. A step that is no `repeat`.
std::set<std::string> ranges_needed_by(const ScenarioStep& step);
std::set<std::string> ranges_made_by(const ScenarioStep& step);

class Missing {
  public:
    // The result of the failed step that would have made a range which `step` names; nothing where all of them
    // were made.
    std::optional<size_t> needed_by(const ScenarioStep& step) const;

    // What `step` defines has been made, or, because of the result `failed`, not.
    void made(const ScenarioStep& step);
    void not_made(const ScenarioStep& step, size_t failed);

    bool has(const std::string& name) const { return failed_.contains(name); }

  private:
    std::map<std::string, size_t> failed_;  // by name
};

}  // namespace gpremap
