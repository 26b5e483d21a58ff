#include "remap/planner.h"

#include "remap/draft.h"
#include "remap/placement.h"
#include "remap/remapping.h"

namespace remap {
namespace {

// Of calls that take or give back what is mapped in a range.
Facts facts_of_loss(const Space& space, const Range& range) {
    Facts facts;
    facts.bound_by_seals(space.extents_in(range));
    facts.leaving(space.extents_in(range));
    return facts;
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Map& map) {
    auto at = place(space, map.placement, map.size, Gpa{0});
    if (!at) return Refused(Cause::no_room);
    auto range = Range::of(*at, map.size);
    Facts facts = facts_of_loss(space, range);
    facts.is_occupied = map.occupied == Occupied::refuse && !space.is_vacant(range);
    if (auto cause = refusal(space, facts)) return Refused(*cause);

    Draft draft(space);
    draft.unmap(range);
    Extent fresh{range, map.prot, map.attributes, {}, {}};
    fresh.lineage = draft.after().new_lineage(fresh);
    if (!draft.map_fresh(fresh)) return Refused(Cause::memory_limit);
    return draft.finish(*at, map.size);
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Unmap& unmap) {
    Facts facts = facts_of_loss(space, unmap.range);
    facts.is_mapped = unmap.holes != Holes::none || space.is_covered(unmap.range);
    if (auto cause = refusal(space, facts)) return Refused(*cause);

    Draft draft(space);
    draft.unmap(unmap.range);
    return draft.finish(Gpa{0}, unmap.range.size());
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Protect& protect) {
    Facts facts;
    facts.is_mapped = space.is_covered(protect.range);
    facts.bound_by_seals(space.extents_in(protect.range));
    if (auto cause = refusal(space, facts)) return Refused(*cause);

    Draft draft(space);
    draft.note_split(protect.range.start());
    draft.note_split(protect.range.end());
    draft.protect(protect.range, protect.prot);
    return draft.finish(Gpa{0}, protect.range.size());
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Release& request) {
    auto there = space.extents_in(request.range);
    Facts facts;
    facts.is_mapped = space.is_covered(request.range);
    if (request.on_sealed == OnSealed::refuse) facts.bound_by_seals(there);
    facts.leaving(there);
    facts.is_pinned = facts.is_pinned || releases_pinned(space, there, request.scope);
    if (auto cause = refusal(space, facts)) return Refused(*cause);

    Draft draft(space);
    draft.note_split(request.range.start());
    draft.note_split(request.range.end());
    for (const Extent& extent : there)
        if (!draft.release(extent, request.scope)) return Refused(Cause::memory_limit);
    return draft.finish(Gpa{0}, request.range.size());
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Exchange& exchange) {
    const auto& [a, b] = exchange;
    Facts facts;
    for (const Range& range : {a, b}) {
        facts.is_mapped = facts.is_mapped && space.is_covered(range);
        facts.bound_by_seals(space.extents_in(range));
        facts.leaving(space.extents_in(range));
    }
    if (auto cause = refusal(space, facts)) return Refused(*cause);

    Draft draft(space);
    draft.note_move(a, b.start());
    draft.note_move(b, a.start());
    // Of the space and not of the draft: no page loses a view.
    auto from_a = draft.after().take(a), from_b = draft.after().take(b);
    auto put_at = [&](const std::vector<Extent>& extents, Gpa from, Gpa to) {
        for (Extent extent : extents) {
            extent.range = Range::of(to.advanced(extent.range.start().above(from)), extent.range.size());
            draft.after().put(extent);
        }
    };
    put_at(from_a, a.start(), b.start());
    put_at(from_b, b.start(), a.start());
    draft.add(change::Exchange{a, b});
    return draft.finish(Gpa{0}, a.size());
}

// ---- snapshot ----

Facts facts_of(const Space& space, const request::Snapshot& snapshot, const std::optional<Gpa>& at) {
    const Range& source = snapshot.source;
    Facts facts;
    facts.is_mapped = space.is_covered(source);
    facts.bound_by_seals(space.extents_in(source));
    // Copy-on-write would move a pinned page with the next write.
    facts.leaving(space.extents_in(source));
    facts.has_room = at.has_value();
    if (!at) return facts;
    auto target = Range::of(*at, source.size());
    facts.bound_by_seals(space.extents_in(target));
    facts.leaving(space.extents_in(target));
    bool may_replace = snapshot.occupied == Occupied::replace && !target.overlaps(source);
    facts.is_occupied = !may_replace && !space.is_vacant(target);
    return facts;
}

// Makes source and duplicate private copies over the same pages, as the source may be already. Where other ranges
// see those pages too, what they write later must reach the source and not the duplicate: that is copied at once.
bool snapshot_extent(Draft& draft, Extent extent, Extent copy) {
    auto pages = [&] { return ObjectRange::of(extent.memory.offset, extent.range.size()); };
    const bool exclusive = extent.memory.kind != MemoryKind::anon &&
                           draft.before().store().exclusive(pages()) == std::vector<ObjectRange>{pages()};
    if (extent.memory.kind == MemoryKind::cow) {
        copy.memory = extent.memory;
        draft.after().put(copy);
        draft.add(change::Snapshot{extent.range, extent.prot, extent.memory, copy.range.start(), copy.prot,
                                   exclusive});
        return true;
    }
    if (extent.memory.kind == MemoryKind::object && (extent.attributes.shared || !exclusive)) {
        if (!draft.map_fresh_for_copy(copy)) return false;
        draft.add(change::Copy{pages(), copy.range.start()});
        if (copy.prot != read_write) draft.add(change::Protect{copy.range, copy.prot, read_write});
        return true;
    }
    if (!draft.promote(extent)) return false;
    draft.after().take(extent.range);
    extent.memory.kind = MemoryKind::cow;
    draft.after().put(extent);
    draft.add(change::Privatize{extent.range, extent.memory, extent.prot});
    copy.memory = extent.memory;
    draft.after().put(copy);
    draft.add(change::View{copy.range, copy.memory, copy.prot});
    return true;
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Snapshot& snapshot) {
    const Range& source = snapshot.source;
    auto at = place(space, snapshot.placement, source.size(), source.start());
    if (auto cause = refusal(space, facts_of(space, snapshot, at))) return Refused(*cause);

    Draft draft(space);
    draft.unmap(Range::of(*at, source.size()));
    draft.note_move(source, *at);
    for (const Extent& mapping : draft.after().mappings_in(source)) {
        Extent copy = mapping;
        copy.range =
            Range::of(at->advanced(mapping.range.start().above(source.start())), mapping.range.size());
        copy.prot = snapshot.prot.value_or(mapping.prot);
        copy.attributes = {};
        copy.lineage = draft.after().new_lineage(copy);
        for (const Extent& extent : draft.after().extents_in(mapping.range)) {
            const Gpa to = copy.range.start().advanced(extent.range.start().above(mapping.range.start()));
            Extent part = copy.clipped(Range::of(to, extent.range.size()));
            part.memory = extent.memory;
            if (!snapshot_extent(draft, extent, part)) return Refused(Cause::memory_limit);
        }
    }
    return draft.finish(*at, source.size());
}

// ---- attributes ----

using Which = request::SetAttribute::Which;

bool Attributes::*attribute_of(Which which) {
    switch (which) {
        case Which::locked:
            return &Attributes::locked;
        case Which::pinned:
            return &Attributes::pinned;
        case Which::sealed:
            break;
    }
    return &Attributes::sealed;
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::SetAttribute& set) {
    bool on = set.value == request::SetAttribute::Value::on;
    bool locks = set.which == Which::locked && on;
    Facts facts;
    facts.is_mapped = space.is_covered(set.range);
    if (set.which != Which::sealed && set.on_sealed == OnSealed::refuse)
        facts.bound_by_seals(space.extents_in(set.range));
    if (locks) facts.locks.bytes = set.range.size().bytes - space.locked_in(set.range).bytes;
    if (auto cause = refusal(space, facts)) return Refused(*cause);

    Draft draft(space);
    for (Extent extent : draft.after().extents_in(set.range)) {
        // What holds the host page must not find it replaced when the range is aliased later.
        if (set.which == Which::pinned && on && !draft.promote(extent)) return Refused(Cause::memory_limit);
        draft.after().take(extent.range);
        extent.attributes.*attribute_of(set.which) = on;
        draft.after().put(extent);
    }
    if (locks) draft.populate(set.range);
    return draft.finish(Gpa{0}, set.range.size());
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Populate& request) {
    Facts facts;
    facts.is_mapped = space.is_covered(request.range);
    if (auto cause = refusal(space, facts)) return Refused(*cause);

    Draft draft(space);
    draft.populate(request.range);
    return draft.finish(Gpa{0}, request.range.size());
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Remap& remap) {
    return Remapping(space, remap).plan();
}

}  // namespace

tl::expected<Plan, Cause> plan(const Space& space, const Request& request) {
    return std::visit([&](const auto& which) { return plan_for(space, which); }, request);
}

}  // namespace remap
