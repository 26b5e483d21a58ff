// The ranges that steps would have made, had they not failed: what needs one of them is skipped.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "vmm/scenario/scenario.h"

namespace gpremap {

class Missing {
  public:
    // The result of the failed step that would have made a range which `step` names; nothing where all of them
    // were made.
    std::optional<size_t> needed_by(const ScenarioStep& step) const;

    // What `step` defines has been made, or, because of the result `failed`, not.
    void made(const ScenarioStep& step);
    void not_made(const ScenarioStep& step, size_t failed);

  private:
    std::map<std::string, size_t> failed_;  // by name
};

}  // namespace gpremap
