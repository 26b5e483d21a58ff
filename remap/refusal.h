// Why a request is refused. What speaks against a request is gathered first; refusal() alone knows which of
// several causes is reported.
#pragma once

#include <optional>
#include <tl/expected.hpp>
#include <vector>

#include "remap/space.h"

namespace remap {

// In the order in which they are checked: the first that applies is reported. Each personality has its own
// errno for each.
enum class Cause {
    not_mapped,  // something of the source is not mapped
    sealed,      // something that would change is sealed
    pinned,      // something that would move or go is pinned
    crosses,     // the source spans several mappings, and Crossing::refused
    lock_limit,
    occupied,      // something that does not move away itself is mapped at the destination
    no_room,       // no free place that is large enough
    memory_limit,  // these two show when the plan is made
    extent_limit,
};

using Refused = tl::unexpected<Cause>;

// What a request meets in the space. A request that is refused for want of a source, or because its source
// cannot be meant, leaves out what it would meet elsewhere: that is not looked at.
struct Facts {
    bool is_mapped = true;  // the source, as far as it must be
    bool is_sealed = false;
    bool is_pinned = false;
    bool crosses = false;
    Size locks{0};  // bytes that become locked
    bool is_occupied = false;
    bool has_room = true;

    // What must not be sealed, and what must not be pinned.
    void bound_by_seals(const std::vector<Extent>& extents);
    void leaving(const std::vector<Extent>& extents);
};

// Whether so much more may not be locked.
bool exceeds_lock_limit(const Space& space, Size locks);

// The one order of causes, but for the two that show in a finished plan.
std::optional<Cause> refusal(const Space& space, const Facts& facts);

// The two: `after` must be within the limits of `before`. One that was set below what is in use forbids only
// growing further.
std::optional<Cause> refusal_of_growth(const Space& before, const Space& after);

}  // namespace remap
