#include "remap/netbsd.h"

#include "remap/placement.h"

namespace remap::netbsd {
namespace {

constexpr CauseErrors errors{
    .not_mapped = Errno::enoent, .lock_limit = Errno::enomem, .occupied = Errno::enomem};

struct Arguments {
    uint64_t old, old_size, to, new_size, flags;

    bool is_fixed() const { return flags & map_fixed; }
    bool duplicates() const { return flags & map_remapdup; }
    uint64_t alignment_log2() const { return (flags & map_alignment_mask) >> map_alignment_shift; }
    // 1 where none was asked for.
    Size alignment() const { return Size{uint64_t{1} << alignment_log2()}; }
};

bool has_valid_alignment(const Arguments& is, Size granule) {
    if (is.alignment_log2() == 0) return true;
    if (is.alignment_log2() >= 64 || is.alignment() < granule) return false;
    return !is.is_fixed() || Gpa{is.to}.is_aligned(is.alignment());
}

std::optional<Errno> malformed(const Space& space, const Arguments& is) {
    Size granule = space.granule();
    if (is.flags & ~(map_fixed | map_remapdup | map_alignment_mask)) return Errno::einval;
    for (uint64_t number : {is.old, is.to, is.old_size, is.new_size})
        if (number % granule.bytes != 0) return Errno::einval;
    if (!Range::make(Gpa{is.old}, Size{is.old_size}) || !Range::make(Gpa{is.to}, Size{is.new_size}))
        return Errno::einval;
    if (!has_valid_alignment(is, granule)) return Errno::einval;
    if (!Gpa{is.old}.checked_add(Size{is.new_size})) return Errno::e2big;
    return std::nullopt;
}

// `old` and `new` are hints for the position; `new` comes first where it was given and is free.
Placement placement(const Space& space, const Arguments& is) {
    using Where = Placement::Where;
    if (is.is_fixed()) {
        bool stays = is.to == is.old && !is.duplicates();
        return {stays ? Where::in_place : Where::fixed, Gpa{is.to}};
    }
    if (is.to != 0 && is_free_place(space, Gpa{is.to}, Size{is.new_size}, is.alignment()))
        return {Where::fixed, Gpa{is.to}, is.alignment()};
    return {is.duplicates() ? Where::anywhere : Where::in_place_if_fits, {}, is.alignment()};
}

// A fixed place outside the space is refused last: what else is wrong with the call comes first.
Errno refusal_of_place(const Space& space, const request::Remap& request) {
    if (!space.is_covered(request.source)) return Errno::enoent;
    auto extents = space.extents_in(request.source);
    for (const Extent& extent : extents)
        if (extent.attributes.sealed) return Errno::eperm;
    for (const Extent& extent : extents)
        if (extent.attributes.pinned && request.source_after == SourceAfter::unmapped) return Errno::eagain;
    return Errno::enomem;
}

}  // namespace

Answer mremap(const Space& space, uint64_t old, uint64_t old_size, uint64_t to, uint64_t new_size,
              uint64_t flags) {
    Arguments is{old, old_size, to, new_size, flags};
    if (auto error = malformed(space, is)) return fails(*error);
    auto source = Range::of(Gpa{old}, Size{old_size});
    if (!space.aperture().contains(source)) return fails(Errno::enoent);

    // A duplicate of less than the source is a duplicate of that much; the rest stays as it is.
    if (is.duplicates() && new_size < old_size && space.is_covered(source))
        source = source.head(Size{new_size});
    request::Remap request{.source = source, .new_size = Size{new_size}, .placement = placement(space, is)};
    request.occupied = Occupied::refuse_own_source_too;
    if (is.duplicates()) request.source_after = SourceAfter::same;
    if (request.placement.where == Placement::Where::fixed &&
        !space.aperture().contains(Range::of(request.placement.at, Size{new_size})))
        return fails(refusal_of_place(space, request));
    return planned(space, request, errors);
}

}  // namespace remap::netbsd
