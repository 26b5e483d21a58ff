#include "remap/plan.h"

#include <algorithm>
#include <functional>

#include "remap/placement.h"

namespace remap {
namespace {

using Refused = tl::unexpected<Cause>;

bool any(const std::vector<Extent>& extents, bool Attributes::*attribute) {
    return std::any_of(extents.begin(), extents.end(),
                       [&](const Extent& extent) { return extent.attributes.*attribute; });
}

// A plan being made: the space is changed and the steps that do the same to memory are noted, side by side.
class Draft {
  public:
    explicit Draft(const Space& space) : before_(space), plan_{space, {}} {}

    const Space& before() const { return before_; }
    Space& after() { return plan_.after; }
    void add(Step step) { plan_.steps.push_back(std::move(step)); }

    // Unmaps whatever is mapped in the range.
    void unmap(const Range& range) {
        for (const Range& run : after().runs_in(range)) add(step::Unmap{run, anonymous_in(run)});
        note_split(range.start());
        note_split(range.end());
        take(range);
    }

    // Removes extents from the books, noting the pages that may have lost their last view.
    std::vector<Extent> take(const Range& range) {
        auto taken = after().take(range);
        for (const Extent& extent : taken)
            if (extent.memory.kind != MemoryKind::anon)
                dropped_.push_back(ObjectRange::of(extent.memory.offset, extent.range.size()));
        return taken;
    }

    // New zero-filled memory like `model` (its rights, attributes and lineage). False when the object is
    // used up.
    [[nodiscard]] bool map_fresh(Extent model) {
        model.memory = {};
        if (after().fresh_memory() == FreshMemory::object) {
            auto pages = after().allocate(model.range.size(), model.range.start());
            if (!pages) return false;
            model.memory = {MemoryKind::object, pages->start()};
        }
        after().put(model);
        add(step::Map{model.range, model.memory, model.prot});
        if (model.attributes.locked) add(step::Populate{model.range, model.prot});
        return true;
    }

    // The same, but the steps leave it writable for now.
    [[nodiscard]] bool map_fresh_for_copy(const Extent& model) {
        if (!map_fresh(model)) return false;
        std::get<step::Map>(plan_.steps.back()).prot = read_write;
        return true;
    }

    // Makes the extent, which is mapped, one that the object backs, so that others can map its pages.
    [[nodiscard]] bool promote(Extent& extent) {
        if (extent.memory.kind == MemoryKind::object) return true;
        auto pages = after().allocate(extent.range.size(), extent.range.start());
        if (!pages) return false;
        take(extent.range);
        add(step::Promote{extent.range, pages->start(), extent.prot, extent.memory});
        extent.memory = {MemoryKind::object, pages->start()};
        after().put(extent);
        return true;
    }

    void note_split(Gpa at) {
        if (splits_huge_page(before_, at)) plan_.huge_kept = false;
    }
    void note_move(const Range& from, Gpa to) {
        if (from.start() == to) return;
        plan_.moved = true;
        if (!keeps_huge_pages(from, to)) plan_.huge_kept = false;
        note_split(from.start());
        note_split(from.end());
    }

    tl::expected<Plan, Cause> finish(Gpa result, Size bytes) {
        free_dropped();
        if (grew(after().memory_used(), before_.memory_used(), before_.limits().memory))
            return Refused(Cause::memory_limit);
        if (grew(after().extent_count(), before_.extent_count(), before_.limits().extents))
            return Refused(Cause::extent_limit);
        if (grew(after().piece_count(), before_.piece_count(), before_.limits().pieces))
            return Refused(Cause::extent_limit);
        plan_.result = result;
        plan_.bytes = bytes;
        return std::move(plan_);
    }

  private:
    std::vector<Range> anonymous_in(const Range& run) const {
        std::vector<Range> found;
        for (const Extent& extent : plan_.after.extents_in(run)) {
            if (extent.memory.kind != MemoryKind::anon) continue;
            if (!found.empty() && found.back().end() == extent.range.start())
                found.back() = Range::between(found.back().start(), extent.range.end());
            else
                found.push_back(extent.range);
        }
        return found;
    }

    // A limit that was set below what is in use forbids only growing further.
    template <class T>
    static bool grew(T now, T before, T limit) {
        return now > limit && now > before;
    }

    void free_dropped() {
        std::sort(dropped_.begin(), dropped_.end(),
                  [](const ObjectRange& a, const ObjectRange& b) { return a.start() < b.start(); });
        Offset done{0};  // two extents that went may have been views of the same pages
        for (const ObjectRange& range : dropped_) {
            if (range.end() <= done) continue;
            auto rest = ObjectRange::between(std::max(range.start(), done), range.end());
            for (const ObjectRange& pages : after().store().unused(rest)) add(step::Free{pages});
            done = range.end();
        }
    }

    const Space& before_;
    Plan plan_;
    std::vector<ObjectRange> dropped_;
};

// ---- checks that calls share ----

bool source_is_mapped(const Space& space, const Range& source, Holes holes) {
    switch (holes) {
        case Holes::none:
            return space.is_covered(source);
        case Holes::behind_first:
            return space.find(source.start()) != nullptr;
        case Holes::anywhere:
            return !space.is_vacant(source);
    }
    return false;
}

// Where new memory or a duplicate goes; a fixed place is not yet checked for what is mapped there.
tl::expected<Gpa, Cause> place(const Space& space, const Placement& placement, Size size, Gpa source) {
    if (placement.where == Placement::Where::fixed) return placement.at;
    if (placement.where == Placement::Where::hint &&
        is_free_place(space, placement.at, size, placement.alignment))
        return placement.at;
    auto at = free_place(space, size, source, placement.alignment);
    if (!at) return Refused(Cause::no_room);
    return *at;
}

// ---- the requests ----

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Map& map) {
    Draft draft(space);
    auto at = place(space, map.placement, map.size, Gpa{0});
    if (!at) return Refused(at.error());
    auto range = Range::of(*at, map.size);
    auto there = space.extents_in(range);
    if (any(there, &Attributes::sealed)) return Refused(Cause::sealed);
    if (any(there, &Attributes::pinned)) return Refused(Cause::pinned);
    if (!there.empty() && map.occupied == Occupied::refuse) return Refused(Cause::occupied);
    draft.unmap(range);
    Extent fresh{range, map.prot, map.attributes, {}, {}};
    fresh.lineage = draft.after().new_lineage(fresh);
    if (!draft.map_fresh(fresh)) return Refused(Cause::memory_limit);
    return draft.finish(*at, map.size);
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Unmap& unmap) {
    if (unmap.holes == Holes::none && !space.is_covered(unmap.range)) return Refused(Cause::not_mapped);
    auto there = space.extents_in(unmap.range);
    if (any(there, &Attributes::sealed)) return Refused(Cause::sealed);
    if (any(there, &Attributes::pinned)) return Refused(Cause::pinned);
    Draft draft(space);
    draft.unmap(unmap.range);
    return draft.finish(Gpa{0}, unmap.range.size());
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Protect& protect) {
    if (!space.is_covered(protect.range)) return Refused(Cause::not_mapped);
    if (any(space.extents_in(protect.range), &Attributes::sealed)) return Refused(Cause::sealed);
    Draft draft(space);
    draft.note_split(protect.range.start());
    draft.note_split(protect.range.end());
    for (Extent& extent : draft.after().take(protect.range)) {
        if (extent.prot != protect.prot) draft.add(step::Protect{extent.range, protect.prot, extent.prot});
        extent.prot = protect.prot;
        draft.after().put(extent);
    }
    return draft.finish(Gpa{0}, protect.range.size());
}

using Scope = request::Release::Scope;

bool keeps_contents(const Extent& extent, Scope scope) {
    return extent.attributes.shared && scope == Scope::private_only;
}

// Whether giving back the pages of these extents would take one from whoever has pinned it, through whichever
// view that was.
bool releases_pinned(const Space& space, const std::vector<Extent>& extents, Scope scope) {
    return std::any_of(extents.begin(), extents.end(), [&](const Extent& extent) {
        if (keeps_contents(extent, scope) || extent.memory.kind != MemoryKind::object) return false;
        return space.holds_pinned(ObjectRange::of(extent.memory.offset, extent.range.size()));
    });
}

// Gives back the pages of one extent, which stays mapped and reads zero. False when the object is used up.
[[nodiscard]] bool release(Draft& draft, const Extent& extent, Scope scope) {
    if (keeps_contents(extent, scope)) return true;
    switch (extent.memory.kind) {
        case MemoryKind::anon:
            draft.add(step::Discard{extent.range, extent.prot});
            return true;
        case MemoryKind::object:
            draft.add(step::Free{ObjectRange::of(extent.memory.offset, extent.range.size())});
            return true;
        case MemoryKind::cow:
            // Dropping the private pages would bring the object's back: it becomes fresh memory instead.
            draft.unmap(extent.range);
            return draft.map_fresh(extent);
    }
    return true;
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Release& request) {
    if (!space.is_covered(request.range)) return Refused(Cause::not_mapped);
    auto there = space.extents_in(request.range);
    if (request.on_sealed == OnSealed::refuse && any(there, &Attributes::sealed))
        return Refused(Cause::sealed);
    if (any(there, &Attributes::pinned) || releases_pinned(space, there, request.scope))
        return Refused(Cause::pinned);
    Draft draft(space);
    draft.note_split(request.range.start());
    draft.note_split(request.range.end());
    for (const Extent& extent : there)
        if (!release(draft, extent, request.scope)) return Refused(Cause::memory_limit);
    return draft.finish(Gpa{0}, request.range.size());
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Exchange& exchange) {
    const auto& [a, b] = exchange;
    if (!space.is_covered(a) || !space.is_covered(b)) return Refused(Cause::not_mapped);
    auto in_a = space.extents_in(a), in_b = space.extents_in(b);
    if (any(in_a, &Attributes::sealed) || any(in_b, &Attributes::sealed)) return Refused(Cause::sealed);
    if (any(in_a, &Attributes::pinned) || any(in_b, &Attributes::pinned)) return Refused(Cause::pinned);
    Draft draft(space);
    draft.note_move(a, b.start());
    draft.note_move(b, a.start());
    // Not Draft::take: no page loses a view.
    draft.after().take(a);
    draft.after().take(b);
    auto put_at = [&](const std::vector<Extent>& extents, Gpa from, Gpa to) {
        for (Extent extent : extents) {
            extent.range = Range::of(to.advanced(extent.range.start().above(from)), extent.range.size());
            draft.after().put(extent);
        }
    };
    put_at(in_a, a.start(), b.start());
    put_at(in_b, b.start(), a.start());
    draft.add(step::Exchange{a, b});
    return draft.finish(Gpa{0}, a.size());
}

// Makes source and duplicate private copies over the same pages. Where other ranges see those pages too,
// what they write later must reach the source and not the duplicate: that is copied at once.
bool snapshot_extent(Draft& draft, Extent extent, Extent copy) {
    auto pages = [&] { return ObjectRange::of(extent.memory.offset, extent.range.size()); };
    bool seen_elsewhere = extent.memory.kind == MemoryKind::object &&
                          (extent.attributes.shared ||
                           draft.before().store().exclusive(pages()) != std::vector<ObjectRange>{pages()});
    if (seen_elsewhere) {
        if (!draft.map_fresh_for_copy(copy)) return false;
        draft.add(step::Copy{pages(), copy.range.start()});
        if (copy.prot != read_write) draft.add(step::Protect{copy.range, copy.prot, read_write});
        return true;
    }
    if (!draft.promote(extent)) return false;
    draft.after().take(extent.range);
    extent.memory.kind = MemoryKind::cow;
    draft.after().put(extent);
    draft.add(step::Privatize{extent.range, extent.memory, extent.prot});
    copy.memory = extent.memory;
    draft.after().put(copy);
    draft.add(step::View{copy.range, copy.memory, copy.prot});
    return true;
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Snapshot& snapshot) {
    const Range& source = snapshot.source;
    if (!space.is_covered(source)) return Refused(Cause::not_mapped);
    auto extents = space.extents_in(source);
    auto at = place(space, snapshot.placement, source.size(), source.start());
    std::vector<Extent> there;
    if (at) there = space.extents_in(Range::of(*at, source.size()));
    if (any(extents, &Attributes::sealed) || any(there, &Attributes::sealed)) return Refused(Cause::sealed);
    // Copy-on-write would move a pinned page with the next write.
    if (any(extents, &Attributes::pinned) || any(there, &Attributes::pinned)) return Refused(Cause::pinned);
    if (!at) return Refused(at.error());
    auto target = Range::of(*at, source.size());
    if (!there.empty() && (snapshot.occupied == Occupied::refuse || target.overlaps(source)))
        return Refused(Cause::occupied);

    Draft draft(space);
    draft.unmap(target);
    draft.note_move(source, target.start());
    for (const Extent& extent : draft.after().extents_in(source)) {
        Extent copy = extent;
        copy.range = Range::of(at->advanced(extent.range.start().above(source.start())), extent.range.size());
        copy.prot = snapshot.prot.value_or(extent.prot);
        copy.attributes = {};
        copy.lineage = draft.after().new_lineage(copy);
        if (!snapshot_extent(draft, extent, copy)) return Refused(Cause::memory_limit);
    }
    return draft.finish(*at, source.size());
}

void populate(Draft& draft, const Range& range) {
    for (const Extent& extent : draft.after().extents_in(range))
        draft.add(step::Populate{extent.range, extent.prot});
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::SetAttribute& set) {
    using Which = request::SetAttribute::Which;
    if (!space.is_covered(set.range)) return Refused(Cause::not_mapped);
    if (set.which != Which::sealed && set.on_sealed == OnSealed::refuse &&
        any(space.extents_in(set.range), &Attributes::sealed))
        return Refused(Cause::sealed);
    Draft draft(space);
    bool on = set.value == request::SetAttribute::Value::on;
    for (Extent extent : draft.after().extents_in(set.range)) {
        // What holds the host page must not find it replaced when the range is aliased later.
        if (set.which == Which::pinned && on && !draft.promote(extent)) return Refused(Cause::memory_limit);
        draft.after().take(extent.range);
        bool Attributes::*attribute = set.which == Which::locked   ? &Attributes::locked
                                      : set.which == Which::pinned ? &Attributes::pinned
                                                                   : &Attributes::sealed;
        extent.attributes.*attribute = on;
        draft.after().put(extent);
    }
    Size locked = draft.after().locked();
    if (locked > space.limits().locked && locked > space.locked()) return Refused(Cause::lock_limit);
    if (set.which == Which::locked && on) populate(draft, set.range);
    return draft.finish(Gpa{0}, set.range.size());
}

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Populate& request) {
    if (!space.is_covered(request.range)) return Refused(Cause::not_mapped);
    Draft draft(space);
    populate(draft, request.range);
    return draft.finish(Gpa{0}, request.range.size());
}

// ---- every form of mremap ----

class Remapping {
  public:
    Remapping(const Space& space, const request::Remap& request)
        : space_(space),
          request_(request),
          draft_(space),
          source_(request.source),
          kept_(source_.head(std::min(source_.size(), request.new_size))),
          dropped_tail_(source_.tail(kept_.size())) {}

    tl::expected<Plan, Cause> plan() {
        if (!source_is_mapped(space_, source_, request_.holes)) return Refused(Cause::not_mapped);
        auto target = choose_target();
        if (auto cause = check(target)) return Refused(*cause);
        return stays_at(*target) ? stay() : move_to(Range::of(*target, request_.new_size));
    }

  private:
    bool grows() const { return request_.new_size > source_.size(); }
    Size growth() const { return Size{request_.new_size.bytes - source_.size().bytes}; }
    bool duplicates() const { return request_.source_after == SourceAfter::same; }
    // What leaves something behind cannot stay.
    bool stays_at(Gpa target) const {
        return target == source_.start() && request_.source_after == SourceAfter::unmapped;
    }

    bool crosses() const {
        return request_.crossing == Crossing::refused &&
               space_.mapping_of(source_.start()).end() < kept_.end();
    }

    // Whether the range can have its new size where it is.
    bool fits_in_place() const {
        if (!source_.start().is_aligned(request_.placement.alignment)) return false;
        if (!grows()) return true;
        auto whole = Range::make(source_.start(), request_.new_size);
        return whole && space_.aperture().contains(*whole) &&
               space_.is_vacant(Range::between(source_.end(), whole->end()));
    }

    tl::expected<Gpa, Cause> choose_target() const {
        const Placement& wanted = request_.placement;
        using Where = Placement::Where;
        bool stays = wanted.where == Where::in_place || wanted.where == Where::in_place_if_fits;
        if (wanted.where == Where::hint &&
            is_free_place(space_, wanted.at, request_.new_size, wanted.alignment))
            return wanted.at;
        if (stays && !duplicates() && fits_in_place()) return source_.start();
        if (wanted.where == Where::in_place) return Refused(Cause::no_room);
        return place(space_, wanted, request_.new_size, source_.start());
    }

    // In the order of Cause; `target` may be the refusal that comes last.
    std::optional<Cause> check(const tl::expected<Gpa, Cause>& target) const {
        bool moves = target ? !stays_at(*target) : request_.placement.where != Placement::Where::in_place;
        bool changes_all = moves || grows() || request_.prot || request_.contents == Contents::zero;
        auto changing = changes_all ? space_.extents_in(source_) : extents_that_end();
        if (any(bound_by_seals(), &Attributes::sealed)) return Cause::sealed;
        // A source that cannot be meant is refused before its destination is looked at.
        if (crosses()) return any(changing, &Attributes::pinned) ? Cause::pinned : Cause::crosses;
        if (any(changing, &Attributes::sealed)) return Cause::sealed;
        auto there = target && moves ? replaced(*target) : std::vector<Extent>{};
        if (any(there, &Attributes::sealed)) return Cause::sealed;

        bool leaves = (moves && !duplicates()) || request_.contents == Contents::zero;
        auto leaving = leaves ? space_.extents_in(source_) : extents_that_end();
        if (any(leaving, &Attributes::pinned) || any(there, &Attributes::pinned)) return Cause::pinned;
        if (request_.contents == Contents::zero && releases_pinned(space_, leaving, Scope::private_only))
            return Cause::pinned;
        if (grows() && !duplicates() && last_page().attributes.locked) {
            Size locked{space_.locked().bytes + growth().bytes};
            if (locked > space_.limits().locked) return Cause::lock_limit;
        }
        if (!target) return target.error();
        if (moves && !there.empty() && request_.occupied != Occupied::replace) return Cause::occupied;
        if (moves && meets_itself(*target) && !may_meet_itself()) return Cause::occupied;
        return std::nullopt;
    }

    // What must not be sealed, whether the call changes it or not.
    std::vector<Extent> bound_by_seals() const {
        return space_.extents_in(request_.seals == Seals::of_first_page ? source_.head(space_.granule())
                                                                        : source_);
    }

    // The extents that lose their place even if the range stays: those behind the new end.
    std::vector<Extent> extents_that_end() const {
        return dropped_tail_ && !duplicates() ? space_.extents_in(*dropped_tail_) : std::vector<Extent>{};
    }

    // What is mapped at the target and does not itself move away.
    std::vector<Extent> replaced(Gpa target) const {
        auto there = space_.extents_in(Range::of(target, request_.new_size));
        if (request_.source_after == SourceAfter::unmapped)
            std::erase_if(there, [&](const Extent& extent) { return source_.contains(extent.range); });
        return clip_away_source(std::move(there));
    }

    // An extent may reach from the source into what is replaced.
    std::vector<Extent> clip_away_source(std::vector<Extent> there) const {
        if (request_.source_after != SourceAfter::unmapped) return there;
        std::vector<Extent> outside;
        for (const Extent& extent : there) {
            if (extent.range.start() < source_.start())
                outside.push_back(extent.clipped(
                    Range::between(extent.range.start(), std::min(extent.range.end(), source_.start()))));
            if (extent.range.end() > source_.end())
                outside.push_back(extent.clipped(
                    Range::between(std::max(extent.range.start(), source_.end()), extent.range.end())));
        }
        return outside;
    }

    bool meets_itself(Gpa target) const { return Range::of(target, request_.new_size).overlaps(source_); }

    // Only what leaves its place can land on it.
    bool may_meet_itself() const {
        return request_.source_after == SourceAfter::unmapped &&
               request_.occupied != Occupied::refuse_own_source_too;
    }

    // What a grow continues. Its last page is mapped: no personality grows a range that ends in a hole.
    Extent last_page() const {
        assert(grows());
        return space_.extents_in(source_).back();
    }

    // ---- the range keeps its address ----

    tl::expected<Plan, Cause> stay() {
        if (dropped_tail_) draft_.unmap(*dropped_tail_);
        apply_prot(kept_);
        if (!zero_contents(kept_)) return Refused(Cause::memory_limit);
        if (grows() && !map_tail(source_.start(), last_page())) return Refused(Cause::memory_limit);
        return draft_.finish(source_.start(), std::max(request_.new_size, source_.size()));
    }

    // ---- it moves, or is duplicated ----

    tl::expected<Plan, Cause> move_to(const Range& target) {
        std::optional<Extent> last;
        if (grows()) last = last_page();
        vacated_to_ = target.start();
        if (request_.source_after != SourceAfter::zero) vacate(target);
        draft_.note_move(kept_, target.start());
        if (!transfer(target.start())) return Refused(Cause::memory_limit);
        if (request_.source_after == SourceAfter::zero) vacate_up_to(target.end());
        if (dropped_tail_ && !duplicates()) draft_.unmap(*dropped_tail_);
        Range arrived = target.head(kept_.size());
        apply_prot(arrived);
        if (!zero_contents(arrived)) return Refused(Cause::memory_limit);
        if (last && duplicates()) last->attributes.locked = false;
        if (last && !map_tail(target.start(), *last)) return Refused(Cause::memory_limit);
        return draft_.finish(target.start(), std::max(request_.new_size, source_.size()));
    }

    // Unmaps what is replaced at the target; holes of the source become holes there.
    void vacate(const Range& target) {
        for (const Extent& extent : replaced(target.start())) draft_.unmap(extent.range);
    }

    // The same bit by bit, for what does not overlap its source.
    void vacate_up_to(Gpa end) {
        if (vacated_to_ >= end) return;
        for (const Extent& extent : draft_.after().extents_in(Range::between(vacated_to_, end)))
            draft_.unmap(extent.range);
        vacated_to_ = end;
    }

    // The mapped runs of the source, in an order in which none lands on one that has yet to go: the lowest
    // first, as Linux does, where nothing can land on the source.
    std::vector<Range> runs_in_order(Gpa target) const {
        auto runs = draft_.before().runs_in(kept_);
        bool leaves_place = request_.source_after == SourceAfter::unmapped;
        if (leaves_place && target > source_.start()) std::reverse(runs.begin(), runs.end());
        return runs;
    }

    Range at_target(const Range& part, Gpa target) const {
        return Range::of(target.advanced(part.start().above(source_.start())), part.size());
    }

    [[nodiscard]] bool transfer(Gpa target) {
        for (const Range& run : runs_in_order(target)) {
            bool done = request_.source_after == SourceAfter::unmapped ? move_run(run, target)
                                                                       : leave_run(run, target);
            if (!done) return false;
        }
        return true;
    }

    bool move_run(const Range& run, Gpa target) {
        auto extents = draft_.after().take(run);
        draft_.add(step::Move{run, at_target(run, target).start()});
        for (Extent extent : extents) {
            extent.range = at_target(extent.range, target);
            draft_.after().put(extent);
        }
        return true;
    }

    struct Left {
        Extent extent;
        Range mapping;  // that it was part of when its turn came
    };

    // The source stays mapped: with the same pages, or (DONTUNMAP of private memory) with fresh ones.
    bool leave_run(const Range& run, Gpa target) {
        std::vector<Left> left;
        std::optional<Range> mapping;
        for (const Extent& extent : draft_.after().extents_in(run)) {
            Gpa at = extent.range.start();
            if (!duplicates() && (!mapping || !mapping->contains(at)))
                mapping = mapping_when_its_turn_comes(at, target);
            if (duplicates() || extent.attributes.shared) {
                if (!duplicate(extent, target)) return false;
            } else {
                move_away(extent, target);
                left.push_back({extent, *mapping});
            }
        }
        return leave_zero(std::move(left));
    }

    // Linux moves one mapping after the other, and unmaps the destination of each just before: that may take
    // away part of the mapping itself.
    Range mapping_when_its_turn_comes(Gpa at, Gpa target) {
        Range mapping = draft_.after().mapping_of(at);
        Gpa end = std::min(mapping.end(), source_.end());
        vacate_up_to(target.advanced(end.above(source_.start())));
        return draft_.after().mapping_of(at);
    }

    bool duplicate(Extent extent, Gpa target) {
        if (!draft_.promote(extent)) return false;
        Extent copy = extent;
        copy.range = at_target(extent.range, target);
        copy.attributes.pinned = false;
        if (request_.prot) copy.prot = *request_.prot;
        (duplicates() ? copy : extent).attributes.locked = false;
        draft_.after().take(extent.range);
        draft_.after().put(extent);
        draft_.after().put(copy);
        draft_.add(step::View{copy.range, copy.memory, copy.prot});
        return true;
    }

    void move_away(Extent extent, Gpa target) {
        draft_.after().take(extent.range);
        Gpa to = at_target(extent.range, target).start();
        draft_.add(step::Move{extent.range, to});
        extent.range = Range::of(to, extent.range.size());
        draft_.after().put(extent);
    }

    // Linux cuts the tie between what moved and what is left where a whole mapping moved. That then joins
    // its neighbours when it is touched: after those that kept theirs, and in order of address.
    bool leave_zero(std::vector<Left> left) {
        auto keeps_tie = [&](const Left& each) { return !source_.contains(each.mapping); };
        std::stable_partition(left.begin(), left.end(), keeps_tie);
        uint64_t family = 0;
        for (Left& each : left) {
            Extent& extent = each.extent;
            extent.attributes.locked = false;
            if (!keeps_tie(each)) {
                Extent whole = extent;
                whole.range = each.mapping;
                if (whole.range.start() == extent.range.start())
                    family = draft_.after().adopted_lineage(whole).family;
                extent.lineage.family = family;
            }
            if (!draft_.map_fresh(extent)) return false;
        }
        return true;
    }

    void apply_prot(const Range& range) {
        if (!request_.prot) return;
        for (Extent& extent : draft_.after().take(range)) {
            if (extent.prot != *request_.prot)
                draft_.add(step::Protect{extent.range, *request_.prot, extent.prot});
            extent.prot = *request_.prot;
            draft_.after().put(extent);
        }
    }

    [[nodiscard]] bool zero_contents(const Range& range) {
        if (request_.contents == Contents::keep) return true;
        for (const Extent& extent : draft_.after().extents_in(range))
            if (!release(draft_, extent, Scope::private_only)) return false;
        return true;
    }

    [[nodiscard]] bool map_tail(Gpa start, const Extent& last) {
        Extent tail = last;
        tail.range = Range::of(start.advanced(source_.size()), growth());
        tail.lineage = last.lineage.advanced(last.range.size());
        tail.attributes.pinned = false;
        if (request_.prot) tail.prot = *request_.prot;
        return draft_.map_fresh(tail);
    }

    const Space& space_;
    const request::Remap& request_;
    Draft draft_;
    Range source_;
    Range kept_;                         // the part of the source that survives
    std::optional<Range> dropped_tail_;  // the part behind a smaller new size
    Gpa vacated_to_{};                   // how much of the target vacate_up_to has done
};

tl::expected<Plan, Cause> plan_for(const Space& space, const request::Remap& remap) {
    return Remapping(space, remap).plan();
}

}  // namespace

tl::expected<Plan, Cause> plan(const Space& space, const Request& request) {
    return std::visit([&](const auto& which) { return plan_for(space, which); }, request);
}

}  // namespace remap
