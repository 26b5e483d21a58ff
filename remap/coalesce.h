// The same changes in fewer: each costs whoever carries it out at least one system call.
#pragma once

#include <vector>

#include "remap/plan.h"

namespace remap {

// Two changes of one kind that follow one another become one where their ranges meet, and all else about them
// is the same or goes on from one to the other. A Free waits for the next change that reads memory (Copy,
// Populate, Promote, Snapshot) or for the end, so that it does not stand between others. Apart from that the order
// stays. Memory that the changes are carried out on ends up the same.
std::vector<Change> coalesced(const std::vector<Change>& changes);

}  // namespace remap
