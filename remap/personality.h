// What the personalities share. Each of them (native.h, linux.h, netbsd.h, utek.h) takes the raw arguments
// of its calls, checks and decodes them into one Request, has it planned, and names the refusal its own way.
// Which cause of several is reported is fixed by the order of the checks; see docs/semantics.md.
#pragma once

#include <tl/expected.hpp>

#include "remap/errno.h"
#include "remap/plan.h"
#include "remap/refusal.h"
#include "remap/request.h"

namespace remap {

using Answer = tl::expected<Plan, Errno>;

// The errno of each cause.
struct CauseErrors {
    Errno not_mapped;
    Errno lock_limit;
    Errno occupied;
};

// Plans the request; a refusal becomes the errno that `errors` gives it, or the one that all
// personalities have in common: EPERM sealed, EAGAIN pinned, EFAULT crosses, ENOMEM limits and room.
Answer planned(const Space& space, const Request& request, const CauseErrors& errors);

inline tl::unexpected<Errno> fails(Errno error) {
    return tl::unexpected<Errno>(error);
}

// `bytes` rounded up to whole units; wraps to 0 at the end of the number space, as Linux's PAGE_ALIGN does.
constexpr uint64_t round_up(uint64_t bytes, Size unit) {
    return (bytes + unit.bytes - 1) / unit.bytes * unit.bytes;
}

// Decodes protection bits; nothing where there are others.
constexpr std::optional<Prot> prot_from(uint64_t bits) {
    if (bits & ~all_prot_bits) return std::nullopt;
    return Prot{static_cast<uint8_t>(bits)};
}

}  // namespace remap
