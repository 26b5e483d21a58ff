#include "remap/space.h"

namespace remap {

Space::Space(const Range& aperture, Size granule, FreshMemory fresh, const Limits& limits)
    : aperture_(aperture), granule_(granule), fresh_(fresh), limits_(limits) {
    assert(aperture.start().is_aligned(granule) && aperture.size().is_multiple_of(granule));
}

std::vector<Extent> Space::extents_in(const Range& range) const {
    std::vector<Extent> found;
    extents_.visit_overlapping(range, [&](const Extent& extent) {
        found.push_back(extent.clipped(range));
        return true;
    });
    return found;
}

std::vector<Extent> Space::mappings_in(const Range& range) const {
    std::vector<Extent> found;
    for (const Extent& extent : extents_in(range)) {
        if (!found.empty() && continues(found.back(), extent))
            found.back().range = Range::between(found.back().range.start(), extent.range.end());
        else
            found.push_back(extent);
    }
    return found;
}

std::vector<Range> Space::runs_in(const Range& range) const {
    std::vector<Range> runs;
    extents_.visit_overlapping(range, [&](const Extent& extent) {
        Range part = *extent.range.intersection(range);
        if (!runs.empty() && runs.back().end() == part.start())
            runs.back() = Range::between(runs.back().start(), part.end());
        else
            runs.push_back(part);
        return true;
    });
    return runs;
}

bool Space::is_covered(const Range& range) const {
    Gpa reached = range.start();
    extents_.visit_overlapping(range, [&](const Extent& extent) {
        if (extent.range.start() > reached) return false;
        reached = extent.range.end();
        return true;
    });
    return reached >= range.end();
}

bool Space::is_vacant(const Range& range) const {
    const Extent* next = extents_.first_ending_after(range.start());
    return !next || next->range.start() >= range.end();
}

Size Space::locked_in(const Range& range) const {
    Size locked{0};
    for (const Extent& extent : extents_in(range))
        if (extent.attributes.locked) locked.bytes += extent.range.size().bytes;
    return locked;
}

Range Space::mapping_of(Gpa at) const {
    const Extent* first = extents_.find(at);
    assert(first);
    const Extent* last = first;
    for (const Extent* below = extents_.last_starting_before(first->range.start());
         below && continues(*below, *first); below = extents_.last_starting_before(first->range.start()))
        first = below;
    for (const Extent* above = extents_.find(last->range.end()); above && continues(*last, *above);
         above = extents_.find(last->range.end()))
        last = above;
    return Range::between(first->range.start(), last->range.end());
}

void Space::put(const Extent& extent) {
    assert(is_vacant(extent.range));
    account(extent, +1);
    Extent whole = extent;
    const Extent* below = extents_.last_starting_before(extent.range.start());
    if (below && coalesces(*below, whole)) {
        seams_ -= seams_of(*below);
        Extent low = *below;
        extents_.erase_starting_in(low.range);
        low.range = Range::between(low.range.start(), whole.range.end());
        whole = low;
    }
    const Extent* above = extents_.find(whole.range.end());
    if (above && coalesces(whole, *above)) {
        seams_ -= seams_of(*above);
        Range high = above->range;
        extents_.erase_starting_in(high);
        whole.range = Range::between(whole.range.start(), high.end());
    }
    extents_.insert(whole);
    seams_ += seams_of(whole);
}

std::vector<Extent> Space::take(const Range& range) {
    cut(range.start());
    cut(range.end());
    std::vector<Extent> taken = extents_in(range);
    for (const Extent& extent : taken) {
        seams_ -= seams_of(extent);
        extents_.erase_starting_in(extent.range);
        account(extent, -1);
    }
    return taken;
}

void Space::cut(Gpa at) {
    const Extent* across = extents_.find(at);
    if (!across || across->range.start() == at) return;
    Extent whole = *across;
    extents_.erase_starting_in(whole.range);
    extents_.insert(whole.clipped(Range::between(whole.range.start(), at)));
    extents_.insert(whole.clipped(Range::between(at, whole.range.end())));
    ++seams_;
}

uint64_t Space::seams_of(const Extent& extent) const {
    const Extent* below = extents_.last_starting_before(extent.range.start());
    const Extent* above = extents_.find(extent.range.end());
    return (below && continues(*below, extent) ? 1u : 0u) + (above && continues(extent, *above) ? 1u : 0u);
}

void Space::account(const Extent& extent, int64_t sign) {
    uint64_t bytes = extent.range.size().bytes;
    auto count = [&](Size& counter) { sign > 0 ? counter.bytes += bytes : counter.bytes -= bytes; };
    if (extent.attributes.locked) count(locked_);
    if (extent.memory.kind != MemoryKind::object) count(private_);
    if (extent.memory.kind == MemoryKind::anon) return;
    auto pages = ObjectRange::of(extent.memory.offset, extent.range.size());
    sign > 0 ? store_.add_view(pages) : store_.drop_view(pages);
    if (extent.attributes.pinned) sign > 0 ? pins_.add_view(pages) : pins_.drop_view(pages);
}

namespace {

// Whether the two could be of one family: they differ at most in their rights.
bool could_continue(const Extent& low, const Extent& high) {
    return low.range.end() == high.range.start() && low.attributes == high.attributes &&
           low.lineage.origin + low.range.size().bytes == high.lineage.origin;
}

}  // namespace

// The rule of Linux, with every page taken as touched: a new private mapping joins a neighbour that it
// continues in every respect, the lower one first; failing that it is an orphan.
Lineage Space::new_lineage(const Extent& fresh) {
    Extent born = fresh;
    born.lineage = {0, fresh.range.start().value};
    if (born.attributes.shared) return {++families_, born.lineage.origin};
    const Extent* below = extents_.last_starting_before(born.range.start());
    const Extent* above = extents_.find(born.range.end());
    if (below && could_continue(*below, born) && below->prot == born.prot)
        return {below->lineage.family, born.lineage.origin};
    if (above && could_continue(born, *above) && above->prot == born.prot)
        return {above->lineage.family, born.lineage.origin};
    return adopted_lineage(born);
}

// And an orphan takes the family of a neighbour that differs in its rights only, the upper one first.
Lineage Space::adopted_lineage(const Extent& orphan) {
    const Extent* below = extents_.last_starting_before(orphan.range.start());
    const Extent* above = extents_.find(orphan.range.end());
    if (above && could_continue(orphan, *above)) return {above->lineage.family, orphan.lineage.origin};
    if (below && could_continue(*below, orphan)) return {below->lineage.family, orphan.lineage.origin};
    return {++families_, orphan.lineage.origin};
}

std::optional<ObjectRange> Space::allocate(Size size, Gpa at) {
    Size modulus = size >= gib1 ? gib1 : size >= mib2 ? mib2 : granule_;
    return store_.allocate(size, std::max(modulus, granule_), at.value);
}

std::vector<ObjectRange> Space::allocate_ready(const Range& range) {
    constexpr size_t most_pieces = 8;
    std::vector<ObjectRange> pieces;
    Gpa at = range.start();
    auto add = [&](std::optional<ObjectRange> piece) {
        if (piece) at = at.advanced(piece->size());
        if (piece) pieces.push_back(*piece);
        return piece.has_value();
    };
    const std::optional<Size> unit = store_.offered();
    const bool may_cut = extent_count() + most_pieces < limits_.extents / 2;
    const uint64_t before = unit ? (unit->bytes - at.value % unit->bytes) % unit->bytes : 0;
    if (unit && may_cut && range.size().bytes >= before + unit->bytes) {
        if (before > 0 && !add(allocate(Size{before}, at))) return {};
        while (pieces.size() < most_pieces && at < range.end() &&
               add(store_.take_offered(range.end().above(at)))) {
        }
    }
    if (at < range.end() && !add(allocate(range.end().above(at), at))) return {};
    return pieces;
}

}  // namespace remap
