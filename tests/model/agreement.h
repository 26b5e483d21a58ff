// Whether simulated memory is what a space says it is.
#pragma once

#include <string>

#include "remap/model_memory.h"

namespace remap {

// What differs first, for a person; empty where nothing does.
std::string disagreement(const Space& space, const ModelMemory& memory);

}  // namespace remap
