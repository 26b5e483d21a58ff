#include "remap/refusal.h"

#include <algorithm>

namespace remap {
namespace {

bool any(const std::vector<Extent>& extents, bool Attributes::*attribute) {
    return std::any_of(extents.begin(), extents.end(),
                       [&](const Extent& extent) { return extent.attributes.*attribute; });
}

template <class T>
bool grew(T now, T before, T limit) {
    return now > limit && now > before;
}

}  // namespace

void Facts::bound_by_seals(const std::vector<Extent>& extents) {
    is_sealed = is_sealed || any(extents, &Attributes::sealed);
}

void Facts::leaving(const std::vector<Extent>& extents) {
    is_pinned = is_pinned || any(extents, &Attributes::pinned);
}

bool exceeds_lock_limit(const Space& space, Size locks) {
    Size locked{space.locked().bytes + locks.bytes};
    return grew(locked, space.locked(), space.limits().locked);
}

std::optional<Cause> refusal(const Space& space, const Facts& facts) {
    if (!facts.is_mapped) return Cause::not_mapped;
    if (facts.is_sealed) return Cause::sealed;
    if (facts.is_pinned) return Cause::pinned;
    if (facts.crosses) return Cause::crosses;
    if (exceeds_lock_limit(space, facts.locks)) return Cause::lock_limit;
    if (facts.is_occupied) return Cause::occupied;
    if (!facts.has_room) return Cause::no_room;
    return std::nullopt;
}

std::optional<Cause> refusal_of_growth(const Space& before, const Space& after) {
    const Limits& limits = before.limits();
    if (grew(after.memory_used(), before.memory_used(), limits.memory)) return Cause::memory_limit;
    if (grew(after.mapping_count(), before.mapping_count(), limits.mappings)) return Cause::extent_limit;
    if (grew(after.extent_count(), before.extent_count(), limits.extents)) return Cause::extent_limit;
    return std::nullopt;
}

}  // namespace remap
