#include "remap/linux.h"

#include <algorithm>

#include "remap/placement.h"

namespace remap::linux_calls {
namespace {

constexpr CauseErrors mremap_errors{
    .not_mapped = Errno::efault, .lock_limit = Errno::eagain, .occupied = Errno::enomem};
constexpr CauseErrors range_errors{
    .not_mapped = Errno::enomem, .lock_limit = Errno::enomem, .occupied = Errno::eexist};

constexpr Size page = kib4;

bool is_inside(const Space& space, uint64_t at, uint64_t len) {
    auto range = Range::make(Gpa{at}, Size{len});
    return range && space.aperture().contains(*range);
}

// A call that succeeds without changing anything.
Answer nothing_to_do(const Space& space) {
    return Plan{space, {}};
}

class Mremap {
  public:
    Mremap(const Space& space, uint64_t old, uint64_t old_size, uint64_t new_size, uint64_t flags,
           uint64_t to)
        : space_(space),
          old_(old),
          old_size_(round_up(old_size, page)),
          new_size_(round_up(new_size, page)),
          flags_(flags),
          to_(to) {}

    Answer answer() {
        if (!is_well_formed()) return fails(Errno::einval);
        Answer answer = remap();
        // The extent limit is checked before anything is looked up, so it hides every later error.
        if (!answer && names_place() && space_.mapping_count() >= space_.limits().mappings)
            return fails(Errno::enomem);
        return answer;
    }

  private:
    bool may_move() const { return flags_ & mremap_maymove; }
    bool is_fixed() const { return flags_ & mremap_fixed; }
    bool leaves_source() const { return flags_ & mremap_dontunmap; }
    bool names_place() const { return is_fixed() || leaves_source(); }

    bool is_well_formed() const {
        if (flags_ & ~(mremap_maymove | mremap_fixed | mremap_dontunmap)) return false;
        if (old_ % page.bytes != 0 || new_size_ == 0) return false;
        if (new_size_ > space_.aperture().size().bytes) return false;
        if (!names_place()) return true;
        if (!has_place()) return may_move() && old_size_ == new_size_;
        if (!is_inside(space_, to_, new_size_)) return false;
        if (to_ % page.bytes != 0 || !may_move()) return false;
        if (leaves_source() && old_size_ != new_size_) return false;
        return !overlaps();
    }

    // DONTUNMAP without FIXED takes `new` as a hint, and 0 as none.
    bool has_place() const { return is_fixed() || to_ != 0; }

    // With Linux's arithmetic, which wraps at the end of the number space.
    bool overlaps() const { return old_ + old_size_ > to_ && to_ + new_size_ > old_; }

    Answer remap() {
        const Extent* first = space_.find(Gpa{old_});
        if (!first) return fails(Errno::efault);
        if (!align_to_granule()) return refuse(*first, Errno::einval);
        if (old_size_ == 0) return duplicate(*first);
        if (new_size_ < old_size_) return shrink(*first);
        if (new_size_ == old_size_ && !names_place()) return stay(*first);
        return move_or_grow(*first);
    }

    // Sizes are rounded up to the granule, addresses must be on one.
    bool align_to_granule() {
        Size granule = space_.granule();
        bool means_duplicate = old_size_ == 0;
        old_size_ = round_up(old_size_, granule);
        new_size_ = round_up(new_size_, granule);
        if ((old_size_ == 0) != means_duplicate) return false;  // beyond 2^64
        return old_ % granule.bytes == 0 && (!names_place() || to_ % granule.bytes == 0);
    }

    // An error that comes after those about the extent itself.
    Answer refuse(const Extent& first, Errno error) const {
        if (first.attributes.sealed) return fails(Errno::eperm);
        if (first.attributes.pinned) return fails(Errno::eagain);
        return fails(error);
    }

    Answer stay(const Extent& first) const {
        if (first.attributes.sealed) return fails(Errno::eperm);
        Plan plan{space_, {}};
        plan.result = Gpa{old_};
        plan.bytes = Size{old_size_};
        return plan;
    }

    // old_size 0: another view of the mapping, as far as it reaches. The source stays.
    Answer duplicate(const Extent& first) const {
        if (first.attributes.sealed) return fails(Errno::eperm);
        if (!first.attributes.shared || (is_fixed() && to_ == old_)) return fails(Errno::einval);
        uint64_t size = std::min(space_.mapping_of(Gpa{old_}).end().value - old_, new_size_);
        // What the copy itself replaces is gone before it is made.
        if (is_fixed() && to_ > old_) size = std::min(size, to_ - old_);
        request::Remap request{
            .source = Range::of(Gpa{old_}, Size{size}), .new_size = Size{new_size_}, .placement = place()};
        request.source_after = SourceAfter::same;
        request.duplicate_lock = DuplicateLock::kept;
        return finish(request);
    }

    // What is behind the new size goes, whatever it consists of; with FIXED the rest moves.
    Answer shrink(const Extent& first) const {
        if (is_fixed() && new_size_ > space_.mapping_of(Gpa{old_}).end().value - old_)
            return refuse(first, Errno::efault);
        if (!is_inside(space_, old_, old_size_)) return refuse(first, Errno::einval);
        request::Remap request{.source = old_range(), .new_size = Size{new_size_}, .placement = place()};
        request.holes = Holes::behind_first;
        if (is_fixed()) request.crossing = Crossing::refused;
        return finish(request);
    }

    // Only a move to a stated place may take several mappings, and holes, with it.
    Answer move_or_grow(const Extent& first) const {
        bool moves_whole = is_fixed() && new_size_ == old_size_;
        if (!moves_whole && !is_inside(space_, old_, old_size_)) return refuse(first, Errno::efault);
        request::Remap request{.source = old_range(), .new_size = Size{new_size_}, .placement = place()};
        request.holes = Holes::behind_first;
        request.crossing = moves_whole ? Crossing::allowed : Crossing::refused;
        if (leaves_source()) request.source_after = SourceAfter::zero;
        return finish(request);
    }

    Placement place() const {
        if (is_fixed()) return {Placement::Where::fixed, Gpa{to_}};
        if (leaves_source()) return {Placement::Where::hint, Gpa{to_}};
        return {may_move() ? Placement::Where::in_place_if_fits : Placement::Where::in_place};
    }

    Answer finish(request::Remap& request) const {
        request.occupied = Occupied::replace;
        request.seals = Seals::of_first_page;
        return planned(space_, request, mremap_errors);
    }

    Range old_range() const { return Range::of(Gpa{old_}, Size{old_size_}); }

    const Space& space_;
    uint64_t old_, old_size_, new_size_, flags_, to_;
};

// The range of a call that only looks at whole pages; an error where it is not one.
tl::expected<std::optional<Range>, Errno> page_range(const Space& space, uint64_t addr, uint64_t len,
                                                     Errno when_outside) {
    if (addr % page.bytes != 0) return fails(Errno::einval);
    uint64_t rounded = round_up(len, page);
    if (len != 0 && rounded == 0) return fails(Errno::einval);
    if (rounded == 0) return std::optional<Range>{};
    if (rounded > UINT64_MAX - addr) return fails(Errno::einval);
    Size granule = space.granule();
    if (addr % granule.bytes != 0) return fails(Errno::einval);
    rounded = round_up(rounded, granule);
    if (!is_inside(space, addr, rounded)) return fails(when_outside);
    return std::optional(Range::of(Gpa{addr}, Size{rounded}));
}

}  // namespace

Answer mremap(const Space& space, uint64_t old, uint64_t old_size, uint64_t new_size, uint64_t flags,
              uint64_t to) {
    return Mremap(space, old, old_size, new_size, flags, to).answer();
}

Answer mmap(const Space& space, uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags) {
    constexpr uint64_t known = map_shared | map_private | map_fixed | map_anonymous | map_fixed_noreplace;
    uint64_t sharing = flags & (map_shared | map_private);
    if ((flags & ~known) || !(flags & map_anonymous) || !prot_from(prot) || len == 0)
        return fails(Errno::einval);
    if (sharing != map_shared && sharing != map_private) return fails(Errno::einval);
    len = round_up(round_up(len, page), space.granule());
    if (len == 0 || len > space.aperture().size().bytes) return fails(Errno::enomem);

    request::Map request{Size{len}, {Placement::Where::anywhere}, Occupied::refuse, *prot_from(prot), {}};
    request.attributes.shared = sharing == map_shared;
    if (flags & (map_fixed | map_fixed_noreplace)) {
        if (addr % space.granule().bytes != 0) return fails(Errno::einval);
        if (!is_inside(space, addr, len)) return fails(Errno::enomem);
        request.placement = {Placement::Where::fixed, Gpa{addr}};
        // Before what is there is asked whether it may go.
        if (flags & map_fixed_noreplace && !space.is_vacant(Range::of(Gpa{addr}, Size{len})))
            return fails(Errno::eexist);
        request.occupied = Occupied::replace;
    } else if (addr != 0) {
        request.placement = {Placement::Where::hint, Gpa{round_up(addr, space.granule())}};
    }
    return planned(space, request, range_errors);
}

Answer munmap(const Space& space, uint64_t addr, uint64_t len) {
    auto range = page_range(space, addr, len, Errno::einval);
    if (!range) return fails(range.error());
    if (!*range) return fails(Errno::einval);
    return planned(space, request::Unmap{**range, Holes::anywhere}, range_errors);
}

namespace {

// Linux goes from extent to extent, and reports what it meets first.
std::vector<Extent> extents_before_hole(const Space& space, const Range& range) {
    auto runs = space.runs_in(range);
    if (runs.empty() || runs.front().start() != range.start()) return {};
    return space.extents_in(runs.front());
}

bool is_sealed(const Extent& extent) {
    return extent.attributes.sealed;
}

}  // namespace

Answer mprotect(const Space& space, uint64_t addr, uint64_t len, uint64_t prot) {
    if (addr % page.bytes != 0) return fails(Errno::einval);
    if (len == 0) return nothing_to_do(space);
    if (round_up(len, page) == 0 || round_up(len, page) > UINT64_MAX - addr) return fails(Errno::enomem);
    if (!prot_from(prot)) return fails(Errno::einval);
    auto range = page_range(space, addr, len, Errno::enomem);
    if (!range) return fails(range.error());
    auto met_first = extents_before_hole(space, **range);
    if (std::any_of(met_first.begin(), met_first.end(), is_sealed)) return fails(Errno::eperm);
    return planned(space, request::Protect{**range, *prot_from(prot)}, range_errors);
}

namespace {

// What of one extent refuses the advice.
std::optional<Errno> madvise_refusal(const Extent& extent, uint64_t advice) {
    const Attributes& is = extent.attributes;
    bool can_write = extent.prot.allows(writable);
    if (advice == madv_populate_write) return can_write ? std::nullopt : std::optional(Errno::einval);
    // Linux lets what could be overwritten be dropped, sealed or not.
    if (is.sealed && !is.shared && !can_write) return Errno::eperm;
    if (is.locked) return Errno::einval;
    if (is.pinned) return Errno::eagain;
    if (advice == madv_remove && !is.shared) return Errno::einval;
    return std::nullopt;
}

// In Linux's order: extent by extent. A hole is reported where it is met by what brings pages in, and after
// everything else by what gives them back.
std::optional<Errno> madvise_refusal(const Space& space, const Range& range, uint64_t advice) {
    bool stops_at_hole = advice == madv_populate_write;
    for (const Extent& extent : stops_at_hole ? extents_before_hole(space, range) : space.extents_in(range))
        if (auto refusal = madvise_refusal(extent, advice)) return refusal;
    return space.is_covered(range) ? std::nullopt : std::optional(Errno::enomem);
}

}  // namespace

Answer madvise(const Space& space, uint64_t addr, uint64_t len, uint64_t advice) {
    if (advice != madv_dontneed && advice != madv_remove && advice != madv_populate_write)
        return fails(Errno::einval);
    auto range = page_range(space, addr, len, Errno::enomem);
    if (!range) return fails(range.error());
    if (!*range) return nothing_to_do(space);
    if (auto error = madvise_refusal(space, **range, advice)) return fails(*error);
    if (advice == madv_populate_write) return planned(space, request::Populate{**range}, range_errors);
    request::Release request{.range = **range};
    request.on_sealed = OnSealed::allow;
    if (advice == madv_dontneed) request.scope = request::Release::Scope::private_only;
    return planned(space, request, range_errors);
}

namespace {

// What is locked already counts once; a range that wraps holds nothing.
bool may_lock(const Space& space, uint64_t start, uint64_t len) {
    Size limit = space.limits().locked, locked = space.locked();
    if (limit == Size{UINT64_MAX}) return true;
    uint64_t room = limit > locked ? limit.bytes - locked.bytes : 0;
    auto range = Range::make(Gpa{start}, Size{len});
    uint64_t again = range ? space.locked_in(*range).bytes : 0;
    return len - again <= room || len == again;
}

// mlock and munlock take the pages that the bytes lie in.
Answer set_locked(const Space& space, uint64_t addr, uint64_t len, request::SetAttribute::Value value) {
    uint64_t start = addr / page.bytes * page.bytes;
    uint64_t whole = round_up(len + (addr - start), page);
    // The limit comes first, even where no such range can be.
    if (value == request::SetAttribute::Value::on && !may_lock(space, start, whole))
        return fails(Errno::enomem);
    auto range = page_range(space, start, whole, Errno::enomem);
    if (!range) return fails(range.error());
    if (!*range) return nothing_to_do(space);
    // Locking brings the pages in, which it cannot where there is no access.
    for (const Extent& extent : space.extents_in(**range))
        if (value == request::SetAttribute::Value::on && extent.prot == no_access)
            return fails(Errno::enomem);
    request::SetAttribute request{**range, request::SetAttribute::Which::locked, value};
    request.on_sealed = OnSealed::allow;
    return planned(space, request, range_errors);
}

}  // namespace

Answer mlock(const Space& space, uint64_t addr, uint64_t len) {
    return set_locked(space, addr, len, request::SetAttribute::Value::on);
}

Answer munlock(const Space& space, uint64_t addr, uint64_t len) {
    return set_locked(space, addr, len, request::SetAttribute::Value::off);
}

Answer mseal(const Space& space, uint64_t addr, uint64_t len, uint64_t flags) {
    if (flags != 0) return fails(Errno::einval);
    auto range = page_range(space, addr, len, Errno::enomem);
    if (!range) return fails(range.error());
    if (!*range) return nothing_to_do(space);
    request::SetAttribute request{**range, request::SetAttribute::Which::sealed,
                                  request::SetAttribute::Value::on};
    return planned(space, request, range_errors);
}

}  // namespace remap::linux_calls
