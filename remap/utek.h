// UTek's mremap(from, to, len, prot). Rule: the UTek 4.0 manual page, and docs/semantics.md where it is
// silent. The manual names the flags that are or'ed into prot but not their values; these are ours. Errors,
// in this order:
//   EINVAL     an address not on a granule, `len` not positive or not a multiple, unknown bits, rights
//   together
//              with `previous`
//   EMRANGE    outside the aperture; something of the source is not mapped
//   EPERM      sealed
//   EAGAIN     pinned (not UTek's; what is pinned never moves)
//   EMCOLLIDE  part of the new area is mapped, as if the old area were gone
//   ENOMEM     limits (not UTek's)
#pragma once

#include "remap/personality.h"

namespace remap::utek {

inline constexpr uint64_t release_zfill = 0x100;
inline constexpr uint64_t previous = 0x200;

Answer mremap(const Space& space, uint64_t from, uint64_t to, uint64_t len, uint64_t prot);

}  // namespace remap::utek
