// NetBSD's mremap, with NetBSD's argument order and flag values (<sys/mman.h>). Rule: the manual page; where
// the manual and sys/uvm/uvm_mremap.c differ, the manual. Errors, in this order:
//   EINVAL  unknown flags, unaligned `old` or `new`, sizes zero or not multiples of the granule, wrap-around,
//           bad alignment
//   E2BIG   extending `old` overflows the address space
//   ENOENT  nothing at `old`, or a hole in the source
//   EPERM   sealed
//   EAGAIN  pinned
//   ENOMEM  a fixed place that is outside the space or mapped, limits, no room
#pragma once

#include "remap/personality.h"

namespace remap::netbsd {

inline constexpr uint64_t map_remapdup = 0x0004;
inline constexpr uint64_t map_fixed = 0x0010;
inline constexpr uint64_t map_alignment_shift = 24;
inline constexpr uint64_t map_alignment_mask = uint64_t{0xff} << map_alignment_shift;

Answer mremap(const Space& space, uint64_t old, uint64_t old_size, uint64_t to, uint64_t new_size,
              uint64_t flags);

}  // namespace remap::netbsd
