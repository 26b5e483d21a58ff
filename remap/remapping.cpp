#include "remap/remapping.h"

#include <algorithm>

#include "remap/placement.h"

namespace remap {

Remapping::Remapping(const Space& space, const request::Remap& request)
    : space_(space),
      request_(request),
      source_(request.source),
      kept_(source_.head(std::min(source_.size(), request.new_size))),
      dropped_tail_(source_.tail(kept_.size())),
      target_(choose_target()),
      kind_(kind_of(request, target_)),
      draft_(space) {}

Remapping::Kind Remapping::kind_of(const request::Remap& request, const std::optional<Gpa>& target) {
    switch (request.source_after) {
        case SourceAfter::same:
            return Kind::duplicate;
        case SourceAfter::zero:
            return Kind::leave;
        case SourceAfter::unmapped:
            break;
    }
    bool stays =
        target ? *target == request.source.start() : request.placement.where == Placement::Where::in_place;
    return stays ? Kind::stay : Kind::move;
}

tl::expected<Plan, Cause> Remapping::plan() {
    if (auto cause = refusal(space_, facts())) return Refused(*cause);
    std::optional<Extent> last;
    if (grows()) last = last_page();
    if (!transfer()) return Refused(Cause::memory_limit);
    if (dropped_tail_ && kind_ != Kind::duplicate) draft_.unmap(*dropped_tail_);
    Range arrived = Range::of(*target_, kept_.size());
    if (request_.prot) draft_.protect(arrived, *request_.prot);
    if (!zero_contents(arrived)) return Refused(Cause::memory_limit);
    if (last && !map_tail(*last)) return Refused(Cause::memory_limit);
    return draft_.finish(*target_, std::max(request_.new_size, source_.size()));
}

// ---- where it goes ----

// Whether the range can have its new size where it is.
bool Remapping::fits_in_place() const {
    if (!source_.start().is_aligned(request_.placement.alignment)) return false;
    if (!grows()) return true;
    auto whole = Range::make(source_.start(), request_.new_size);
    return whole && space_.aperture().contains(*whole) &&
           space_.is_vacant(Range::between(source_.end(), whole->end()));
}

std::optional<Gpa> Remapping::choose_target() const {
    using Where = Placement::Where;
    Where where = request_.placement.where;
    bool may_stay = where == Where::in_place || where == Where::in_place_if_fits;
    // What leaves something behind cannot stay.
    if (may_stay && request_.source_after == SourceAfter::unmapped && fits_in_place()) return source_.start();
    if (where == Where::in_place) return std::nullopt;
    return place(space_, request_.placement, request_.new_size, source_.start());
}

// ---- what speaks against it ----

Facts Remapping::facts() const {
    Facts facts;
    facts.is_mapped = source_is_mapped();
    if (!facts.is_mapped) return facts;
    bool zeroes = request_.contents == Contents::zero;
    bool changes_all = kind_ != Kind::stay || grows() || request_.prot || zeroes;
    auto changing = changes_all ? space_.extents_in(source_) : extents_that_end();
    bool is_linux = request_.seals == Seals::of_first_page;
    facts.bound_by_seals(space_.extents_in(is_linux ? source_.head(space_.granule()) : source_));
    facts.crosses = crosses();
    if (facts.crosses) {
        facts.leaving(changing);
        return facts;
    }
    facts.locks = locks();
    // Linux asks the limit before it looks at the destination.
    if (is_linux && exceeds_lock_limit(space_, facts.locks)) return facts;
    facts.bound_by_seals(changing);
    bool leaves = kind_ == Kind::move || kind_ == Kind::leave || zeroes;
    auto leaving = leaves ? space_.extents_in(source_) : extents_that_end();
    facts.leaving(leaving);
    if (zeroes && releases_pinned(space_, leaving, request::Release::Scope::private_only))
        facts.is_pinned = true;
    facts.has_room = target_.has_value();
    if (target_ && kind_ != Kind::stay) add_facts_of_target(facts);
    return facts;
}

void Remapping::add_facts_of_target(Facts& facts) const {
    auto there = replaced();
    facts.bound_by_seals(there);
    facts.leaving(there);
    // Only what leaves its place can land on it.
    bool may_meet_itself = kind_ == Kind::move && request_.occupied != Occupied::refuse_own_source_too;
    facts.is_occupied = (!there.empty() && request_.occupied != Occupied::replace) ||
                        (target().overlaps(source_) && !may_meet_itself);
}

bool Remapping::source_is_mapped() const {
    switch (request_.holes) {
        case Holes::none:
            return space_.is_covered(source_);
        case Holes::behind_first:
            return space_.find(source_.start()) != nullptr;
        case Holes::anywhere:
            return !space_.is_vacant(source_);
    }
    return false;
}

bool Remapping::crosses() const {
    return request_.crossing == Crossing::refused && space_.mapping_of(source_.start()).end() < kept_.end();
}

Size Remapping::locks() const {
    if (drops_locks()) return Size{0};
    Size locked = kind_ == Kind::duplicate ? space_.locked_in(kept_) : Size{0};
    if (grows() && last_page().attributes.locked) locked.bytes += growth().bytes;
    return locked;
}

// The extents that lose their place even if the range stays: those behind the new end.
std::vector<Extent> Remapping::extents_that_end() const {
    bool ends = dropped_tail_ && kind_ != Kind::duplicate;
    return ends ? space_.extents_in(*dropped_tail_) : std::vector<Extent>{};
}

// What is mapped at the target and does not itself move away. An extent may reach from the source into it.
std::vector<Extent> Remapping::replaced() const {
    auto there = space_.extents_in(target());
    if (kind_ != Kind::move) return there;
    std::vector<Extent> outside;
    for (const Extent& extent : there) {
        const Range& is = extent.range;
        if (is.start() < source_.start())
            outside.push_back(
                extent.clipped(Range::between(is.start(), std::min(is.end(), source_.start()))));
        if (is.end() > source_.end())
            outside.push_back(extent.clipped(Range::between(std::max(is.start(), source_.end()), is.end())));
    }
    return outside;
}

// What a grow continues. It is mapped: no personality grows a range that ends in a hole.
Extent Remapping::last_page() const {
    assert(grows());
    return space_.extents_in(source_).back();
}

// ---- the source goes, or appears once more ----

bool Remapping::transfer() {
    switch (kind_) {
        case Kind::stay:
            return true;
        case Kind::move:
            move_all();
            return true;
        case Kind::duplicate:
            return duplicate_all();
        case Kind::leave:
            return leave_all();
    }
    return true;
}

// Unmaps what is replaced at the target; holes of the source become holes there.
void Remapping::vacate() {
    for (const Extent& extent : replaced()) draft_.unmap(extent.range);
}

Range Remapping::at_target(const Range& part) const {
    return Range::of(target_->advanced(part.start().above(source_.start())), part.size());
}

void Remapping::move_all() {
    vacate();
    draft_.note_move(kept_, *target_);
    // In an order in which no run lands on one that has yet to go.
    auto runs = space_.runs_in(kept_);
    if (*target_ > source_.start()) std::reverse(runs.begin(), runs.end());
    for (const Range& run : runs) move_part(run);
}

void Remapping::move_part(const Range& part) {
    auto extents = draft_.after().take(part);
    draft_.add(change::Move{part, at_target(part).start()});
    for (Extent extent : extents) {
        extent.range = at_target(extent.range);
        draft_.after().put(extent);
    }
}

bool Remapping::duplicate_all() {
    vacate();
    draft_.note_move(kept_, *target_);
    for (const Extent& extent : draft_.after().extents_in(kept_))
        if (!duplicate(extent)) return false;
    return true;
}

bool Remapping::duplicate(Extent extent) {
    if (!draft_.promote(extent)) return false;
    Extent copy = extent;
    copy.range = at_target(extent.range);
    copy.attributes.pinned = false;
    if (request_.prot) copy.prot = *request_.prot;
    if (drops_locks()) copy.attributes.locked = false;
    if (kind_ == Kind::leave) extent.attributes.locked = false;
    draft_.after().take(extent.range);
    draft_.after().put(extent);
    draft_.after().put(copy);
    draft_.add(change::View{copy.range, copy.memory, copy.prot});
    if (kind_ == Kind::duplicate && copy.attributes.locked) draft_.populate(copy.range);
    return true;
}

// ---- what moves leaves something behind: with the same pages where it is shared, or fresh ones ----

bool Remapping::leave_all() {
    vacated_to_ = *target_;
    draft_.note_move(kept_, *target_);
    // The lowest first, as Linux does: nothing can land on the source.
    for (const Range& run : space_.runs_in(kept_))
        if (!leave_run(run)) return false;
    vacate_up_to(target().end());
    return true;
}

bool Remapping::leave_run(const Range& run) {
    std::vector<Left> left;
    std::optional<Range> mapping;
    for (const Extent& extent : draft_.after().extents_in(run)) {
        Gpa at = extent.range.start();
        if (!mapping || !mapping->contains(at)) mapping = mapping_when_its_turn_comes(at);
        if (extent.attributes.shared) {
            if (!duplicate(extent)) return false;
        } else {
            move_part(extent.range);
            left.push_back({extent, *mapping});
        }
    }
    return leave_zero(std::move(left));
}

// Linux moves one mapping after the other, and unmaps the destination of each just before: that may take
// away part of the mapping itself.
Range Remapping::mapping_when_its_turn_comes(Gpa at) {
    Range mapping = draft_.after().mapping_of(at);
    Gpa end = std::min(mapping.end(), source_.end());
    vacate_up_to(target_->advanced(end.above(source_.start())));
    return draft_.after().mapping_of(at);
}

// As vacate, bit by bit.
void Remapping::vacate_up_to(Gpa end) {
    if (vacated_to_ >= end) return;
    for (const Extent& extent : draft_.after().extents_in(Range::between(vacated_to_, end)))
        draft_.unmap(extent.range);
    vacated_to_ = end;
}

// Linux cuts the tie between what moved and what is left where a whole mapping moved. That then joins
// its neighbours when it is touched: after those that kept theirs, and in order of address.
bool Remapping::leave_zero(std::vector<Left> left) {
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

// ---- what has arrived ----

bool Remapping::zero_contents(const Range& range) {
    if (request_.contents == Contents::keep) return true;
    for (const Extent& extent : draft_.after().extents_in(range))
        if (!draft_.release(extent, request::Release::Scope::private_only)) return false;
    return true;
}

bool Remapping::map_tail(const Extent& last) {
    Extent tail = last;
    tail.range = Range::of(target_->advanced(source_.size()), growth());
    tail.lineage = last.lineage.advanced(last.range.size());
    tail.attributes.pinned = false;
    if (drops_locks()) tail.attributes.locked = false;
    if (request_.prot) tail.prot = *request_.prot;
    return draft_.map_fresh(tail);
}

}  // namespace remap
