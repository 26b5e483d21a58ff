#include "remap/placement.h"

namespace remap {

std::optional<Gpa> free_place(const Space& space, Size size, Gpa source, Size alignment) {
    Size unit = std::max(space.granule(), alignment);
    for (Size modulus : {gib1, mib2, unit}) {
        // With a larger alignment only congruence zero is possible, and the last round asks for it.
        if (size < modulus && modulus != unit) continue;
        if (modulus < unit) continue;
        uint64_t phase = modulus == unit ? 0 : source.value % modulus.bytes;
        if (phase % unit.bytes != 0) continue;
        if (auto at = space.lowest_gap(size, modulus, phase)) return at;
    }
    return std::nullopt;
}

bool is_free_place(const Space& space, Gpa at, Size size, Size alignment) {
    auto range = Range::make(at, size);
    return range && at.is_aligned(alignment) && at.is_aligned(space.granule()) &&
           space.aperture().contains(*range) && space.is_vacant(*range);
}

std::optional<Gpa> place(const Space& space, const Placement& placement, Size size, Gpa source) {
    using Where = Placement::Where;
    bool at_hint =
        placement.where == Where::hint && is_free_place(space, placement.at, size, placement.alignment);
    if (placement.where == Where::fixed || at_hint) return placement.at;
    return free_place(space, size, source, placement.alignment);
}

bool keeps_huge_pages(const Range& from, Gpa to) {
    return from.size() < mib2 || to.is_congruent_to(from.start().value, mib2);
}

bool splits_huge_page(const Space& space, Gpa at) {
    if (at.is_aligned(mib2)) return false;
    Gpa start{at.value / mib2.bytes * mib2.bytes};
    const Extent* extent = space.find(start);
    return extent && extent->range.contains(Range::of(start, mib2));
}

}  // namespace remap
