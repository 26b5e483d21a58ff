// From the wire to the core and back: the only place that knows both guest/abi.h and remap/.
#pragma once

#include <array>
#include <cstdint>

#include "guest/abi.h"
#include "remap/personality.h"

namespace gpremap {

// Plans one call that changes the space: native but for query and batch, Linux, NetBSD, UTek.
// ENOSYS for any other number. `args` are the guest's and not trusted.
remap::Answer plan_call(const remap::Space& space, abi::Call number, const std::array<uint64_t, 6>& args);

// Calls that may be part of a batch.
bool is_batchable(abi::Call number);

abi::ExtentInfo extent_info(const remap::Extent& extent, uint64_t page_size);

}  // namespace gpremap
