#include "vmm/memory/slotted.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

namespace gpremap {

using remap::Gpa;
using remap::Memory;
using remap::MemoryKind;
using remap::Range;
using remap::Size;
namespace change = remap::change;

void SlottedStage2::begin() {
    before_ = books_;
    leaving_.clear();
    numbers_taken_.clear();
    numbers_left_.clear();
}

// The numbers of slots that do not exist any more, and the places of memory that has gone, can be used again.
void SlottedStage2::end(Outcome outcome) {
    if (outcome == Outcome::undone) books_ = before_;
    before_ = {};
    try {
        const auto& unused = outcome == Outcome::done ? numbers_left_ : numbers_taken_;
        free_numbers_.insert(free_numbers_.end(), unused.begin(), unused.end());
        if (outcome == Outcome::done)
            for (const HostRange& place : leaving_) leave_place(place);
    } catch (const std::bad_alloc&) {
        // The call itself is over: all that is lost is a number, or host address space.
    }
}

// ---- what is where ----

std::vector<SlottedStage2::Slot> SlottedStage2::slots_in(const Range& range) const {
    std::vector<Slot> found;
    books_.slots.visit_overlapping(range, [&](const Slot& slot) {
        found.push_back(slot);
        return true;
    });
    return found;
}

std::vector<SlottedStage2::Part> SlottedStage2::parts_of(const Range& range) const {
    std::vector<Part> parts;
    visit_parts(range, [&](const Part& part) { parts.push_back(part); });
    return parts;
}

uint64_t SlottedStage2::slots_left() const {
    return free_numbers_.size() + (vm_.capabilities().memslots - next_number_);
}

Range SlottedStage2::gap_from(Gpa at, Gpa limit) const {
    const Slot* next = books_.slots.first_ending_after(at);
    return Range::between(at, next ? std::min(next->range.start(), limit) : limit);
}

// ---- the arena ----

SlottedStage2::HostRange SlottedStage2::home() const {
    return HostRange::of(address_of(reservation_.window()), Size{reservation_.size()});
}
SlottedStage2::HostRange SlottedStage2::annex() const {
    return HostRange::of(address_of(reservation_.annex()), Size{reservation_.size()});
}
SlottedStage2::HostRange SlottedStage2::arena() const {
    return HostRange::between(home().start(), annex().end());
}

SlottedStage2::HostAddress SlottedStage2::home_of(Gpa at) const {
    return home().start().advanced(at.above(aperture_.start()));
}

SlottedStage2::Taken SlottedStage2::take_place_at(const HostRange& place) {
    const Place* next = books_.places.first_ending_after(place.start());
    if (next && next->range.overlaps(place)) return Taken::no;
    books_.places.insert({place});
    return Taken::yes;
}

int SlottedStage2::take_place(const HostRange& within, uint64_t size, uint64_t congruent_to, std::byte*& at) {
    Size modulus = size >= remap::gib1.bytes   ? remap::gib1
                   : size >= remap::mib2.bytes ? remap::mib2
                                               : remap::kib4;
    auto place = books_.places.lowest_gap(within, Size{size}, modulus, congruent_to);
    if (!place) return ENOMEM;
    books_.places.insert({HostRange::of(*place, Size{size})});
    at = pointer_to(*place);
    return 0;
}

void SlottedStage2::leave_place_at_end(std::byte* at, uint64_t size) {
    leaving_.push_back(HostRange::of(address_of(at), Size{size}));
}

// `left` may be part of one place that was taken, or of several side by side.
void SlottedStage2::leave_place(const HostRange& left) {
    for (HostAddress at = left.start(); at < left.end();) {
        HostRange whole = books_.places.find(at)->range;
        books_.places.erase_starting_in(whole);
        if (whole.start() < at) books_.places.insert({HostRange::between(whole.start(), at)});
        if (left.end() < whole.end()) books_.places.insert({HostRange::between(left.end(), whole.end())});
        at = whole.end();
    }
}

// ---- the slots ----

int SlottedStage2::add(const Range& range, HostAddress host) {
    uint32_t number = next_number_;
    if (!free_numbers_.empty()) {
        number = free_numbers_.back();
    } else if (number >= vm_.capabilities().memslots) {
        return ENOMEM;
    }
    journal_.make_room();
    books_.slots.insert({range, host, number});
    if (int error =
            calls_.set_memslot(vm_, number, range.start().value, range.size().bytes, pointer_to(host)))
        return error;
    journal_.undo({.kind = HostAction::Kind::set_slot, .slot = number});
    free_numbers_.empty() ? void(++next_number_) : free_numbers_.pop_back();
    numbers_taken_.push_back(number);
    return 0;
}

int SlottedStage2::remove(const Slot& slot) {
    journal_.make_room();
    books_.slots.erase_starting_in(slot.range);
    if (int error = calls_.set_memslot(vm_, slot.number, slot.range.start().value, 0, nullptr)) return error;
    journal_.undo({.kind = HostAction::Kind::set_slot,
                   .at = pointer_to(slot.host),
                   .size = slot.range.size().bytes,
                   .slot = slot.number,
                   .gpa = slot.range.start().value});
    numbers_left_.push_back(slot.number);
    return 0;
}

int SlottedStage2::move_slot(const Slot& slot, Gpa to) {
    journal_.make_room();
    books_.slots.erase_starting_in(slot.range);
    books_.slots.insert({Range::of(to, slot.range.size()), slot.host, slot.number});
    std::byte* at = pointer_to(slot.host);
    uint64_t size = slot.range.size().bytes;
    if (int error = calls_.set_memslot(vm_, slot.number, to.value, size, at)) return error;
    journal_.undo({.kind = HostAction::Kind::set_slot,
                   .at = at,
                   .size = size,
                   .slot = slot.number,
                   .gpa = slot.range.start().value});
    return 0;
}

// Makes two slots of one that lies across `at`. KVM cannot resize a live slot.
int SlottedStage2::cut(Gpa at) {
    const Slot* across = slot_at(at);
    if (!across || across->range.start() == at) return 0;
    Slot whole = *across;
    Range low = Range::between(whole.range.start(), at), high = Range::between(at, whole.range.end());
    if (int error = remove(whole)) return error;
    if (int error = add(low, whole.host)) return error;
    return add(high, whole.host.advanced(low.size()));
}

int SlottedStage2::cut_ends(const Range& range) {
    if (int error = cut(range.start())) return error;
    return cut(range.end());
}

int SlottedStage2::join(Gpa at, Size chunk) {
    const Slot* high = slot_at(at);
    const Slot* low = books_.slots.last_starting_before(at);
    if (!high || !low || high->range.start() != at || low->range.end() != at) return 0;
    if (low->host.advanced(low->range.size()) != high->host || at.is_aligned(chunk)) return 0;
    Slot first = *low, second = *high;
    if (int error = remove(first)) return error;
    if (int error = remove(second)) return error;
    return add(Range::between(first.range.start(), second.range.end()), first.host);
}

int SlottedStage2::move_slots(const Range& from, Gpa to) {
    if (int error = cut_ends(from)) return error;
    auto slots = slots_in(from);
    // None may land on one that has yet to go.
    if (to > from.start()) std::reverse(slots.begin(), slots.end());
    for (const Slot& slot : slots)
        if (int error = move_slot(slot, to.advanced(slot.range.start().above(from.start())))) return error;
    return 0;
}

int SlottedStage2::exchange_slots(const Range& a, const Range& b) {
    if (int error = cut_ends(a)) return error;
    if (int error = cut_ends(b)) return error;
    auto in_a = slots_in(a), in_b = slots_in(b);
    for (const Slot& slot : in_b)
        if (int error = remove(slot)) return error;
    for (const Slot& slot : in_a)
        if (int error = move_slot(slot, b.start().advanced(slot.range.start().above(a.start()))))
            return error;
    for (const Slot& slot : in_b) {
        Gpa to = a.start().advanced(slot.range.start().above(b.start()));
        if (int error = add(Range::of(to, slot.range.size()), slot.host)) return error;
    }
    return 0;
}

// ---- memory that is on its way ----

int SlottedStage2::set_aside(const Part& part, std::byte*& aside, const std::vector<Range>& anonymous) {
    uint64_t size = part.range.size().bytes;
    split_at_ends_of(part, anonymous);
    const auto [within, vacant] = waiting();
    if (int error = take_place(within, size, address_of(part.host).value, aside)) return error;
    leave_place_at_end(aside, size);
    if (vacant == Vacant::closed) journal_.undo({.kind = HostAction::Kind::close, .at = aside, .size = size});
    if (int error = move_undoably(part.host, aside, size)) return error;
    for (const Range& range : anonymous)
        if (auto here = part.range.intersection(range))
            reclaim_at_end(aside + here->start().above(part.range.start()).bytes, here->size().bytes);
    auto emptied = vacant == Vacant::closed ? HostAction::Kind::close : HostAction::Kind::drop;
    journal_.finish({.kind = emptied, .at = aside, .size = size});
    return 0;
}

void SlottedStage2::split_at_ends_of(const Part& part, const std::vector<Range>& anonymous) {
    for (const Range& range : anonymous)
        if (auto here = part.range.intersection(range))
            split_at_ends(part.host + here->start().above(part.range.start()).bytes, here->size().bytes);
}

int SlottedStage2::close_vacated(std::byte* at, uint64_t size) {
    int error = calls_.map(at, size, PROT_NONE, closed_flags | MAP_FIXED_NOREPLACE, -1, 0);
    if (error == EEXIST)
        throw std::system_error(error, std::generic_category(), "foreign memory in the window of the guest");
    return error;
}

int SlottedStage2::prot_until_end(const Part& part, int prot) {
    if (!(prot & PROT_WRITE) || others_ == Others::kept_out) return prot;
    uint64_t size = part.range.size().bytes;
    journal_.finish({.kind = HostAction::Kind::protect, .at = part.host, .size = size, .prot = prot});
    return prot & PROT_READ;
}

int SlottedStage2::map(std::byte* at, uint64_t size, Memory memory, int prot) {
    return memory.kind == MemoryKind::anon ? map_anonymous(at, size, prot)
                                           : map_object(at, size, memory, prot);
}

// ---- the changes ----

int SlottedStage2::carry_out(const remap::Change& change) {
    return std::visit([&](const auto& which) { return make(which); }, change);
}

bool SlottedStage2::can_destroy(const remap::Change& change) const {
    return std::holds_alternative<change::Free>(change);
}

int SlottedStage2::destroy(const remap::Change& change) {
    return free_now(std::get<change::Free>(change));
}

// The guest, or a copy, may put something into new pages of the object before a later change fails.
int SlottedStage2::make(const change::Map& change) {
    if (change.memory.kind == MemoryKind::object) {
        // Offsets that nobody had before are handed out again if the call fails: the pool must not keep those.
        const Size size = change.range.size();
        journal_.make_room();
        const bool is_kept = take_from_pool(remap::ObjectRange::of(change.memory.offset, size)) == size.bytes;
        journal_.undo({.kind = is_kept ? HostAction::Kind::free : HostAction::Kind::punch_hole,
                       .size = size.bytes,
                       .offset = change.memory.offset.value});
    }
    return map_new(change.range, change.memory, change.prot);
}

int SlottedStage2::make(const change::View& change) {
    return map_new(change.range, change.memory, change.prot);
}

int SlottedStage2::make(const change::Protect& change) {
    int now = host_prot(change.prot), was = host_prot(change.was);
    if (now == was) return 0;
    for (const Part& part : parts_of(change.range)) {
        uint64_t size = part.range.size().bytes;
        // A change that fails half-way has changed the first mappings.
        journal_.undo({.kind = HostAction::Kind::protect, .at = part.host, .size = size, .prot = was});
        if (int error = calls_.protect(part.host, size, now)) return error;
    }
    return 0;
}

int SlottedStage2::make(const change::Promote& change) {
    for (const Part& part : parts_of(change.range)) {
        if (int error = copy_and_set_aside(part, change)) return error;
        Memory memory{MemoryKind::object,
                      change.offset.advanced(part.range.start().above(change.range.start()))};
        int prot = prot_until_end(part, host_prot(change.prot));
        if (int error = map_object(part.host, part.range.size().bytes, memory, prot)) return error;
    }
    return 0;
}

int SlottedStage2::copy_and_set_aside(const Part& part, const change::Promote& change) {
    std::byte* aside = nullptr;
    if (change.was.kind == MemoryKind::anon) split_at_ends(part.host, part.range.size().bytes);
    if (copied() == Copied::where_it_is) {
        if (int error = copy_readable(part.host, part, change)) return error;
        return set_aside(part, aside);
    }
    if (int error = set_aside(part, aside)) return error;
    if (int error = close_vacated(part.host, part.range.size().bytes)) return error;
    return copy_readable(aside, part, change);
}

// `from`: where the memory of the part is now.
int SlottedStage2::copy_readable(std::byte* from, const Part& part, const change::Promote& change) {
    uint64_t size = part.range.size().bytes;
    Size skipped = part.range.start().above(change.range.start());
    uint64_t offset = change.offset.advanced(skipped).value;
    if (int error = make_readable(from, size, change.prot)) return error;
    journal_.undo({.kind = HostAction::Kind::punch_hole, .size = size, .offset = offset});
    return copy_to_object(from, offset, size, change.was.advanced(skipped));
}

// What the range had mapped before is a view of the same pages.
int SlottedStage2::make(const change::Privatize& change) {
    int prot = host_prot(change.prot);
    for (const Part& part : parts_of(change.range)) {
        Memory memory = change.memory.advanced(part.range.start().above(change.range.start()));
        uint64_t size = part.range.size().bytes;
        journal_.undo({.kind = HostAction::Kind::view,
                       .at = part.host,
                       .size = size,
                       .prot = prot,
                       .offset = memory.offset.value});
        if (int error = map_object(part.host, size, memory, prot_until_end(part, prot))) return error;
    }
    return 0;
}

int SlottedStage2::make(const change::Copy& change) {
    Range to = Range::of(change.to, change.from.size());
    for (const Part& part : parts_of(to)) {
        uint64_t offset = change.from.start().advanced(part.range.start().above(to.start())).value;
        if (int error = calls_.copy_from_file(object_.fd(), offset, part.host, part.range.size().bytes))
            return error;
    }
    return 0;
}

// What this call has promoted may not be writable yet (EINVAL). It is shared, so reading makes its pages.
int SlottedStage2::make(const change::Populate& change) {
    for (const Part& part : parts_of(change.range)) {
        int error = populate(part.host, part.range.size().bytes, change.prot);
        if (error == EINVAL) error = populate(part.host, part.range.size().bytes, {remap::readable});
        if (error != 0) return error;
    }
    return 0;
}

// Where other changes follow.
int SlottedStage2::make(const change::Discard& change) {
    for (const Part& part : parts_of(change.range)) {
        std::byte* aside = nullptr;
        if (int error = set_aside(part, aside, {part.range})) return error;
        int prot = prot_until_end(part, host_prot(change.prot));
        if (int error = map_anonymous(part.host, part.range.size().bytes, prot)) return error;
    }
    return 0;
}

int SlottedStage2::make(const change::Free& change) {
    return free_undoably(change);
}

}  // namespace gpremap
