// Linux's calls, with Linux's raw arguments and flag values. Rule: Linux 6.17 (mm/mremap.c, mmap.c,
// mprotect.c, madvise.c, mlock.c, mseal.c), but for the divergences that docs/semantics.md lists. The page
// is 4 KiB; a larger granule behaves as a huge page does there.
//
// mremap, in this order:
//   EINVAL  unknown flag, unaligned `old`, new_size 0 or beyond the space; with FIXED or DONTUNMAP: `new`
//           outside or unaligned, MAYMOVE missing, sizes differ for DONTUNMAP, overlap
//   ENOMEM  extent limit (FIXED, DONTUNMAP)
//   EFAULT  nothing at `old`
//   EPERM   sealed; what is mapped at the destination only after the lock limit
//   EAGAIN  pinned
//   EINVAL  huge granule misaligned; old_size 0 on memory that is not shared
//   EFAULT  a grow or a move without FIXED crosses an extent's end
//   EAGAIN  lock limit
//   ENOMEM  memory limit, no room
#pragma once

#include "remap/personality.h"

namespace remap::linux_calls {

inline constexpr uint64_t mremap_maymove = 1;
inline constexpr uint64_t mremap_fixed = 2;
inline constexpr uint64_t mremap_dontunmap = 4;

inline constexpr uint64_t map_shared = 0x01;
inline constexpr uint64_t map_private = 0x02;
inline constexpr uint64_t map_fixed = 0x10;
inline constexpr uint64_t map_anonymous = 0x20;
inline constexpr uint64_t map_fixed_noreplace = 0x100000;

inline constexpr uint64_t madv_dontneed = 4;
inline constexpr uint64_t madv_remove = 9;
inline constexpr uint64_t madv_populate_write = 23;

Answer mremap(const Space& space, uint64_t old, uint64_t old_size, uint64_t new_size, uint64_t flags,
              uint64_t to);
Answer mmap(const Space& space, uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags);
Answer munmap(const Space& space, uint64_t addr, uint64_t len);
Answer mprotect(const Space& space, uint64_t addr, uint64_t len, uint64_t prot);
Answer madvise(const Space& space, uint64_t addr, uint64_t len, uint64_t advice);
Answer mlock(const Space& space, uint64_t addr, uint64_t len);
Answer munlock(const Space& space, uint64_t addr, uint64_t len);
Answer mseal(const Space& space, uint64_t addr, uint64_t len, uint64_t flags);

}  // namespace remap::linux_calls
