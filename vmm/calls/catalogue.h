// From the wire to the core and back: the only place that knows both guest/abi/hypercall.h and remap/.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "guest/abi/agent.h"
#include "remap/personality.h"

namespace gpremap {

// Plans one call that changes the space: native but for query and batch, Linux, NetBSD, UTek.
// ENOSYS for any other number. `args` are the guest's and not trusted.
remap::Answer plan_call(const remap::Space& space, abi::Call number, const std::array<uint64_t, 6>& args);

// How many calls a batch may have. To be asked before they are read.
bool is_batch_size(uint64_t count);

// Plans the calls as one, each on the space that the one before it leaves, and notes in each the result that
// it will have. EINVAL for a call that may not be part of a batch.
remap::Answer plan_batch(const remap::Space& space, std::span<abi::BatchCall> calls);

abi::ExtentInfo extent_info(const remap::Extent& extent, uint64_t page_size);

}  // namespace gpremap
