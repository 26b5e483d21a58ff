// The native calls: what the three systems have in common, and what none of them has.
//
// Addresses and sizes are raw 64-bit values in bytes, straight from the caller. Errors, in this order:
//
//   EINVAL  misaligned, zero, wrapping around, unknown flag, a combination with no meaning, overlap in exchange
//   ERANGE  outside the aperture
//   EFAULT  something of the source is not mapped
//   EPERM   sealed
//   EAGAIN  pinned, lock limit
//   EEXIST  destination mapped (what a move itself vacates does not count)
//   ENOMEM  memory limit, extent limit, no room
#pragma once

#include "remap/personality.h"

namespace remap::native {

namespace flag {
inline constexpr uint64_t anywhere = 1;
inline constexpr uint64_t hint = 2;
inline constexpr uint64_t replace = 4;
inline constexpr uint64_t keep_holes = 8;
inline constexpr uint64_t may_move = 16;
inline constexpr uint64_t shared = 32;
}  // namespace flag

// In place of protection bits: each page keeps its own.
inline constexpr uint64_t prot_previous = 8;

Answer map(const Space& space, uint64_t at, uint64_t len, uint64_t prot, uint64_t flags);
Answer unmap(const Space& space, uint64_t at, uint64_t len);
Answer move(const Space& space, uint64_t from, uint64_t to, uint64_t len, uint64_t flags);
Answer grow(const Space& space, uint64_t at, uint64_t len, uint64_t new_len, uint64_t flags);
Answer shrink(const Space& space, uint64_t at, uint64_t len, uint64_t new_len);
Answer alias(const Space& space, uint64_t from, uint64_t to, uint64_t len, uint64_t prot, uint64_t flags);
Answer snapshot(const Space& space, uint64_t from, uint64_t to, uint64_t len, uint64_t prot, uint64_t flags);
Answer exchange(const Space& space, uint64_t a, uint64_t b, uint64_t len);
Answer protect(const Space& space, uint64_t at, uint64_t len, uint64_t prot);
Answer release(const Space& space, uint64_t at, uint64_t len);

using Which = request::SetAttribute::Which;
using Value = request::SetAttribute::Value;
Answer set_attribute(const Space& space, uint64_t at, uint64_t len, Which which, Value value);

// The mappings of a range that is well-formed and inside the aperture; EINVAL or ERANGE otherwise.
tl::expected<std::vector<Extent>, Errno> query(const Space& space, uint64_t at, uint64_t len);

}  // namespace remap::native
