// Several calls planned as one.
#pragma once

#include <cstdint>
#include <span>

#include "guest/abi/agent.h"
#include "remap/personality.h"

namespace gpremap {

// How many calls a batch may have. To be asked before they are read.
bool is_batch_size(uint64_t count);

// How many pieces the calls of a batch may move, take away or change: the vCPUs are paused meanwhile.
inline constexpr uint64_t most_batch_pieces = 65536;

// Plans the calls as one, each on the space that the one before it leaves, and notes in each the result that
// it will have. EINVAL for a call that may not be part of a batch.
//
// What a batch takes away waits until its end, in case it has to be undone. ENOMEM where more would wait than the
// memory limit allows to be mapped, or for more than most_batch_pieces: so one call, however long, takes no more
// of the host than twice the limit, and no more time than so many pieces.
remap::Answer plan_batch(const remap::Space& space, std::span<abi::BatchCall> calls);

}  // namespace gpremap
