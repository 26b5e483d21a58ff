#include "vmm/memory/window.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "vmm/base/errors.h"
#include "vmm/hostmemory/move_memory.h"

namespace gpremap {
namespace {

using remap::Gpa;
using remap::Memory;
using remap::MemoryKind;
using remap::Prot;
using remap::Range;
using remap::Size;
namespace change = remap::change;

// One slot covers one chunk. With shadow paging a slot costs 8 bytes a page, so only what is used is opened.
constexpr Size chunk = remap::gib1;

// A call that moves one slot makes up to six. Moving slots ends long before KVM has none left for chunks.
constexpr uint64_t slots_kept_for_chunks = 16384;

// What is in `range` but not in `other`, where they overlap at one end.
Range without(const Range& range, const Range& other) {
    if (!range.overlaps(other)) return range;
    if (other.start() > range.start()) return Range::between(range.start(), other.start());
    return Range::between(other.end(), range.end());
}

// Whether a huge page of the host, which begins at a multiple of its size, fits in.
bool holds_huge_page(const std::byte* at, uint64_t size) {
    uint64_t skipped = -reinterpret_cast<uint64_t>(at) % remap::mib2.bytes;
    return size >= skipped + remap::mib2.bytes;
}

bool is_congruent(const std::byte* at, uint64_t other) {
    return (reinterpret_cast<uint64_t>(at) - other) % remap::mib2.bytes == 0;
}

}  // namespace

Window::Window(Vm& vm, const Range& aperture, const BackingObject& object, Mechanism mechanism)
    : SlottedStage2(vm, aperture, object), may_move_slots_(mechanism == Mechanism::automatic) {
    if (aperture_.size().bytes / chunk.bytes + 2 > vm.capabilities().memslots)
        throw HostLacks("KVM has " + std::to_string(vm.capabilities().memslots) +
                        " memslots of 1 GiB: make vm.aperture.size smaller");
}

// ---- which way ----

Stage2::Choice Window::choose(const std::vector<remap::Change>& changes, const remap::Space& before) const {
    Choice choice = choose_mechanism(changes, before);
    if (choice.mechanism == Mechanism::window) choice.flushes = flushes_of(changes, before);
    return choice;
}

Stage2::Choice Window::choose_mechanism(const std::vector<remap::Change>& changes,
                                        const remap::Space& before) const {
    if (!may_move_slots_) return {Mechanism::window, "as configured"};
    auto splits = [&](const remap::Change& change) { return splits_huge_pages(change, before); };
    if (std::any_of(changes.begin(), changes.end(), splits)) {
        if (slots_left() < slots_kept_for_chunks)
            return {Mechanism::window, "its huge pages are split, since KVM has few memslots left"};
        return {Mechanism::memslot,
                "mremap would split its huge pages, so its slot moves and the vCPUs pause"};
    }
    auto misfit = [&](const remap::Change& change) {
        const auto* map = std::get_if<change::Map>(&change);
        return map && is_badly_placed(map->range);
    };
    if (std::any_of(changes.begin(), changes.end(), misfit))
        return {Mechanism::memslot, "the slot there lies where no huge page fits, so it is made anew"};
    return {Mechanism::window, "host mappings change, and the slots stay"};
}

bool Window::splits_huge_pages(const remap::Change& change, const remap::Space& before) const {
    if (const auto* move = std::get_if<change::Move>(&change))
        return splits_huge_pages(move->from, Range::of(move->to, move->from.size())) &&
               holds_transparent(before, move->from);
    if (const auto* exchange = std::get_if<change::Exchange>(&change))
        return splits_huge_pages(exchange->a, exchange->b) &&
               (holds_transparent(before, exchange->a) || holds_transparent(before, exchange->b));
    return false;
}

// Whether there are transparent huge pages in the range: of anonymous memory, or of the object. Those of
// hugetlb are never split.
bool Window::holds_transparent(const remap::Space& space, const Range& range) const {
    bool of_object = object_.pages() == BackingObject::Pages::transparent;
    auto extents = space.extents_in(range);
    return std::any_of(extents.begin(), extents.end(), [&](const remap::Extent& extent) {
        bool transparent =
            extent.memory.kind == MemoryKind::anon || (of_object && extent.memory.kind == MemoryKind::object);
        return transparent && extent.range.size() >= remap::mib2;
    });
}

// A host address; where there is no slot yet, the guest-physical one, to which the place that it gets is congruent.
uint64_t Window::host_of(Gpa at) const {
    const Slot* slot = slot_at(at);
    return slot ? slot->host.value - slot->range.start().value + at.value : at.value;
}

bool Window::splits_huge_pages(const Range& from, const Range& to) const {
    for (const Part& part : parts_of(from))
        if (holds_huge_page(part.host, part.range.size().bytes) &&
            !is_congruent(part.host, host_of(to.start().advanced(part.range.start().above(from.start())))))
            return true;
    return false;
}

bool Window::is_badly_placed(const Range& range) const {
    auto parts = parts_of(range);
    return std::any_of(parts.begin(), parts.end(), [](const Part& part) {
        return part.range.size() >= remap::mib2 && !is_congruent(part.host, part.range.start().value);
    });
}

bool Window::can_destroy(const remap::Change& change) const {
    if (SlottedStage2::can_destroy(change)) return true;
    return mechanism_ == Mechanism::window && is_one_host_call(change);
}

// Or the second could fail when the first has destroyed something.
bool Window::is_one_host_call(const remap::Change& change) const {
    const auto* unmap = std::get_if<change::Unmap>(&change);
    const auto* discard = std::get_if<change::Discard>(&change);
    if (!unmap && !discard) return false;
    int parts = 0;
    visit_parts(unmap ? unmap->range : discard->range, [&](const Part&) { ++parts; });
    return parts == 1;
}

// ---- how often TLBs are flushed ----

uint64_t Window::flushes_of(const std::vector<remap::Change>& changes, const remap::Space& before) const {
    size_t undoable = changes.size();
    while (undoable > 0 &&
           (SlottedStage2::can_destroy(changes[undoable - 1]) || is_one_host_call(changes[undoable - 1])))
        --undoable;
    uint64_t flushes = 0;
    for (size_t i = 0; i < changes.size(); ++i) flushes += flushes_of(changes[i], i >= undoable, before);
    return flushes;
}

// `directly`: what it destroys is not set aside before. Kernel calls that unmap, protect or discard flush once.
uint64_t Window::flushes_of(const remap::Change& change, bool directly, const remap::Space& before) const {
    if (const auto* move = std::get_if<change::Move>(&change))
        return flushes_of_move(move->from, Range::of(move->to, move->from.size()), before);
    if (const auto* exchange = std::get_if<change::Exchange>(&change))
        return flushes_aside(exchange->a, before) + flushes_of_move(exchange->b, exchange->a, before) +
               flushes_of_move(exchange->a, exchange->b, before);
    if (const auto* map = std::get_if<change::Map>(&change))
        return map->memory.kind == MemoryKind::anon ? flushes_of_map(map->range.size().bytes) : 0;
    if (const auto* promote = std::get_if<change::Promote>(&change))
        return flushes_aside(promote->range, before);
    if (const auto* unmap = std::get_if<change::Unmap>(&change)) {
        uint64_t flushes = directly ? 1 : flushes_aside(unmap->range, before);
        for (const Range& range : unmap->anonymous) flushes += flushes_of_reclaim(range.size().bytes);
        return flushes;
    }
    if (const auto* discard = std::get_if<change::Discard>(&change))
        return (directly ? 1 : flushes_aside(discard->range, before)) +
               flushes_of_reclaim(discard->range.size().bytes);
    bool flushes = std::holds_alternative<change::Protect>(change) ||
                   std::holds_alternative<change::Privatize>(change) ||
                   std::holds_alternative<change::Free>(change);
    return flushes ? 1 : 0;
}

uint64_t Window::flushes_of_move(const Range& from, const Range& to, const remap::Space& before) const {
    if (from.overlaps(to)) return 2 * flushes_aside(from, before);
    return flushes_of_parts(from, before, [&](const Part& part) {
        return host_of(to.start().advanced(part.range.start().above(from.start())));
    });
}

// The place in the annex is congruent.
uint64_t Window::flushes_aside(const Range& range, const remap::Space& before) const {
    return flushes_of_parts(range, before, [](const Part& part) { return address_of(part.host).value; });
}

// `target`: where the part goes.
template <class Target>
uint64_t Window::flushes_of_parts(const Range& range, const remap::Space& before, Target target) const {
    uint64_t flushes = 0;
    for (const remap::Extent& extent : before.extents_in(range))
        for (const Part& part : parts_of(extent.range))
            flushes += SlottedStage2::flushes_of_move(address_of(part.host).value, target(part),
                                                      part.range.size().bytes, extent.memory.kind);
    return flushes;
}

// ---- the changes ----

// Set aside until the call has succeeded.
int Window::make(const change::Unmap& change) {
    for (const Part& part : parts_of(change.range)) {
        std::byte* aside = nullptr;
        if (int error = set_aside(part, aside, change.anonymous)) return error;
        if (int error = close_vacated(part.host, part.range.size().bytes)) return error;
    }
    return 0;
}

int Window::make(const change::Move& change) {
    Range from = change.from, to = Range::of(change.to, change.from.size());
    if (mechanism_ == Mechanism::memslot && splits_huge_pages(from, to)) return move_by_slots(from, to);
    note_shift(from.start(), to.start());
    if (int error = open_slots(to)) return error;
    // mremap unmaps its target before it can fail.
    for (const Part& fresh : parts_of(without(to, from)))
        journal_.undo({.kind = HostAction::Kind::close, .at = fresh.host, .size = fresh.range.size().bytes});
    if (from.overlaps(to)) return move_over_itself(from, to);
    for (const Passage& passage : passages(from, to))
        if (int error = move_apart(passage)) return error;
    return 0;
}

int Window::make(const change::Exchange& change) {
    if (mechanism_ == Mechanism::memslot && splits_huge_pages(change.a, change.b))
        return exchange_slots(change.a, change.b);
    note_shift(change.a.start(), change.b.start());
    for (const Passage& pair : passages(change.a, change.b)) {
        std::byte* aside = nullptr;
        if (int error = take_place(annex(), pair.size, address_of(pair.from).value, aside)) return error;
        leave_place_at_end(aside, pair.size);
        for (auto [from, to] : {std::pair{pair.from, aside}, {pair.to, pair.from}, {aside, pair.to}})
            if (int error = move_undoably(from, to, pair.size)) return error;
    }
    return 0;
}

// The direct form of what cannot be undone. Nothing in it may fail for want of memory.
int Window::destroy(const remap::Change& any) {
    if (std::holds_alternative<change::Free>(any)) return SlottedStage2::destroy(any);
    auto* unmap = std::get_if<change::Unmap>(&any);
    int error = 0;
    visit_parts(unmap ? unmap->range : std::get<change::Discard>(any).range,
                [&](const Part& part) { error = unmap ? destroy(part, unmap->anonymous) : discard(part); });
    return error;
}

// What the pool gets may leave its mapping behind, as a large move may: one that is all of the part, that is.
int Window::destroy(const Part& part, const std::vector<Range>& anonymous) {
    uint64_t size = part.range.size().bytes;
    split_at_ends_of(part, anonymous);
    for (const Range& range : anonymous) {
        std::byte* at = part.host + range.start().above(part.range.start()).bytes;
        uint64_t bytes = range.size().bytes;
        uint64_t left = may_leave(size) ? reclaim(at, bytes, Leaves::zero) : 0;
        if (left == size) return calls_.protect(part.host, size, PROT_NONE);
        if (left == 0) reclaim(at, bytes, Leaves::hole);
    }
    return calls_.close(part.host, size);
}

int Window::discard(const Part& part) {
    uint64_t size = part.range.size().bytes;
    split_at_ends(part.host, size);
    reclaim(part.host, size, Leaves::zero);
    return calls_.advise(part.host, size, MADV_DONTNEED);
}

// ---- mapping ----

int Window::map_new(const Range& range, Memory memory, Prot prot) {
    if (mechanism_ == Mechanism::memslot && is_badly_placed(range))
        if (int error = remove_slots(range)) return error;
    if (int error = open_slots(range)) return error;
    for (const Part& part : parts_of(range)) {
        uint64_t size = part.range.size().bytes;
        Memory here = memory.advanced(part.range.start().above(range.start()));
        journal_.undo({.kind = HostAction::Kind::close, .at = part.host, .size = size});
        if (int error = map(part.host, size, here, host_prot(prot))) return error;
    }
    return 0;
}

// Whole chunks, but for what has a slot. Without a mapping under it the guest sees nothing through a slot.
int Window::open_slots(const Range& range) {
    Gpa at{range.start().value / chunk.bytes * chunk.bytes};
    while (at < range.end()) {
        if (const Slot* slot = slot_at(at)) {
            at = slot->range.end();
            continue;
        }
        Gpa limit = std::min(Gpa{at.value / chunk.bytes * chunk.bytes}.advanced(chunk), aperture_.end());
        Range gap = gap_from(at, limit);
        if (int error = open_slot(gap)) return error;
        at = gap.end();
    }
    return 0;
}

int Window::open_slot(const Range& gap) {
    uint64_t size = gap.size().bytes;
    HostAddress home = home_of(gap.start());
    if (take_place_at(HostRange::of(home, gap.size())) == Taken::yes) return add(gap, home);
    std::byte* at = nullptr;
    if (int error = take_place(annex(), size, gap.start().value, at)) return error;
    if (int error = calls_.close(at, size)) return error;
    return add(gap, address_of(at));
}

// Of a range where nothing is mapped.
int Window::remove_slots(const Range& range) {
    if (int error = cut_ends(range)) return error;
    for (const Slot& slot : slots_in(range)) {
        if (int error = remove(slot)) return error;
        leave_place_at_end(pointer_to(slot.host), slot.range.size().bytes);
    }
    return 0;
}

// ---- moving ----

std::vector<Window::Passage> Window::passages(const Range& from, const Range& to) const {
    std::vector<Passage> found;
    for (const Part& source : parts_of(from)) {
        Gpa target = to.start().advanced(source.range.start().above(from.start()));
        uint64_t done = 0;
        for (const Part& piece : parts_of(Range::of(target, source.range.size()))) {
            found.push_back({source.host + done, piece.host, piece.range.size().bytes});
            done += piece.range.size().bytes;
        }
    }
    return found;
}

int Window::move_apart(const Passage& passage) {
    auto [from, to, size] = passage;
    if (may_leave(size)) {
        journal_.make_room();
        int error = move_memory(calls_, from, to, size, Leaves::zero);
        if (error == 0) {
            journal_.undo({.kind = HostAction::Kind::move, .at = to, .to = from, .size = size});
            return calls_.protect(from, size, PROT_NONE);
        }
        if (error != EINVAL) return error;  // huge pages of hugetlb leave nothing
    }
    if (int error = move_undoably(from, to, size)) return error;
    return close_vacated(from, size);
}

// A move can leave its source mapped, and close it with a second call, where no vCPU can write to it in
// between: the kernel then tells KVM of one change less, and the window has no hole for a moment. What is
// left does not merge with its closed neighbours, so that is for large moves: at most 1024 fit.
bool Window::may_leave(uint64_t size) const {
    return others_ == Others::kept_out && size >= std::max(remap::mib2.bytes, aperture_.size().bytes / 1024);
}

// By way of the annex.
int Window::move_over_itself(const Range& from, const Range& to) {
    auto sources = parts_of(from);
    std::byte* aside = nullptr;
    uint64_t size = from.size().bytes;
    if (int error = take_place(annex(), size, address_of(sources.front().host).value, aside)) return error;
    leave_place_at_end(aside, size);
    auto place_of = [&](const Part& part, const Range& range) {
        return aside + part.range.start().above(range.start()).bytes;
    };
    for (const Part& part : sources)
        if (int error = move_undoably(part.host, place_of(part, from), part.range.size().bytes)) return error;
    for (const Part& part : parts_of(to))
        if (int error = move_undoably(place_of(part, to), part.host, part.range.size().bytes)) return error;
    for (const Part& part : parts_of(without(from, to)))
        if (int error = close_vacated(part.host, part.range.size().bytes)) return error;
    return 0;
}

// What was shown at `from` is shown at `to`. Nothing has a slot any more where only `from` was.
int Window::move_by_slots(const Range& from, const Range& to) {
    if (int error = remove_slots(without(to, from))) return error;
    if (int error = move_slots(from, to.start())) return error;
    for (Gpa end : {from.start(), from.end(), to.start(), to.end()})
        if (int error = join(end, chunk)) return error;
    return 0;
}

}  // namespace gpremap
