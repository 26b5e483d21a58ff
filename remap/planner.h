// The planner: from a space and a request to the changes that carry it out and the space afterwards.
#pragma once

#include "remap/plan.h"
#include "remap/refusal.h"
#include "remap/request.h"

namespace remap {

// Changes nothing, whatever comes of it.
tl::expected<Plan, Cause> plan(const Space& space, const Request& request);

}  // namespace remap
