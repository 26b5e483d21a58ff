#include "vmm/stage2/memslots.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <new>

namespace gpremap {
namespace {

using remap::Gpa;
using remap::Memory;
using remap::MemoryKind;
using remap::Range;
using remap::Size;
namespace step = remap::step;

}  // namespace

Memslots::Memslots(Vm& vm, const Range& aperture, const BackingObject& object)
    : Stage2(vm, aperture, object) {}

int Memslots::carry_out(const remap::Step& step) {
    return std::visit([&](const auto& which) { return make(which); }, step);
}

bool Memslots::can_destroy(const remap::Step& step) const {
    return std::holds_alternative<step::Free>(step);
}

int Memslots::destroy(const remap::Step& step) {
    return free_now(std::get<step::Free>(step));
}

void Memslots::begin() {
    before_ = books_;
    leaving_.clear();
    numbers_taken_.clear();
    numbers_left_.clear();
}

// The numbers of slots that do not exist any more, and the places of memory that has gone, can be used again.
void Memslots::end(Outcome outcome) {
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

// ---- the steps ----

int Memslots::make(const step::Map& step) {
    // The guest, or a copy, may put something into new pages of the object before a later step fails.
    if (step.memory.kind == MemoryKind::object)
        undo({.kind = HostAction::Kind::punch_hole,
              .size = step.range.size().bytes,
              .offset = step.memory.offset.value});
    return map_new(step.range, step.memory, step.prot);
}

int Memslots::make(const step::View& step) {
    return map_new(step.range, step.memory, step.prot);
}

int Memslots::make(const step::Unmap& step) {
    if (int error = cut_ends(step.range)) return error;
    for (const Slot& slot : slots_in(step.range)) {
        if (int error = remove(slot)) return error;
        leave_place_at_end(reinterpret_cast<std::byte*>(slot.host.value), slot.range.size().bytes);
    }
    return 0;
}

int Memslots::make(const step::Move& step) {
    if (int error = cut_ends(step.from)) return error;
    auto slots = slots_in(step.from);
    // None may land on one that has yet to go.
    if (step.to > step.from.start()) std::reverse(slots.begin(), slots.end());
    for (const Slot& slot : slots)
        if (int error = move(slot, step.to.advanced(slot.range.start().above(step.from.start()))))
            return error;
    return 0;
}

int Memslots::make(const step::Exchange& step) {
    if (int error = cut_ends(step.a)) return error;
    if (int error = cut_ends(step.b)) return error;
    auto in_a = slots_in(step.a), in_b = slots_in(step.b);
    for (const Slot& slot : in_b)
        if (int error = remove(slot)) return error;
    for (const Slot& slot : in_a)
        if (int error = move(slot, step.b.start().advanced(slot.range.start().above(step.a.start()))))
            return error;
    for (const Slot& slot : in_b) {
        Gpa to = step.a.start().advanced(slot.range.start().above(step.b.start()));
        if (int error = add(Range::of(to, slot.range.size()), slot.host)) return error;
    }
    return 0;
}

int Memslots::make(const step::Protect& step) {
    int now = host_prot(step.prot), was = host_prot(step.was);
    if (now == was) return 0;
    for (const Part& part : parts_of(step.range)) {
        uint64_t size = part.range.size().bytes;
        undo({.kind = HostAction::Kind::protect, .at = part.host, .size = size, .prot = was});
        if (int error = calls_.protect(part.host, size, now)) return error;
    }
    return 0;
}

// The old memory waits elsewhere in the arena until the call has succeeded.
int Memslots::make(const step::Promote& step) {
    int prot = host_prot(step.prot);
    for (const Part& part : parts_of(step.range)) {
        uint64_t size = part.range.size().bytes;
        uint64_t offset = step.offset.advanced(part.range.start().above(step.range.start())).value;
        undo({.kind = HostAction::Kind::punch_hole, .size = size, .offset = offset});
        if (prot == PROT_NONE) {
            undo({.kind = HostAction::Kind::protect, .at = part.host, .size = size, .prot = prot});
            if (int error = calls_.protect(part.host, size, PROT_READ)) return error;
        }
        if (int error = copy_to_object(part.host, offset, size)) return error;
        if (int error = set_aside(part)) return error;
        if (int error = map_object(part.host, size, {MemoryKind::object, remap::Offset{offset}}, prot))
            return error;
    }
    return 0;
}

int Memslots::make(const step::Privatize& step) {
    int prot = host_prot(step.prot);
    for (const Part& part : parts_of(step.range)) {
        Memory memory = step.memory.advanced(part.range.start().above(step.range.start()));
        uint64_t size = part.range.size().bytes;
        undo({.kind = HostAction::Kind::view,
              .at = part.host,
              .size = size,
              .prot = prot,
              .offset = memory.offset.value});
        if (int error = map_object(part.host, size, memory, prot)) return error;
    }
    return 0;
}

int Memslots::make(const step::Copy& step) {
    auto to = Range::of(step.to, step.from.size());
    for (const Part& part : parts_of(to)) {
        uint64_t offset = step.from.start().advanced(part.range.start().above(to.start())).value;
        if (int error = calls_.copy_from_file(object_.fd(), offset, part.host, part.range.size().bytes))
            return error;
    }
    return 0;
}

int Memslots::make(const step::Populate& step) {
    for (const Part& part : parts_of(step.range))
        if (int error = populate(part.host, part.range.size().bytes, step.prot)) return error;
    return 0;
}

int Memslots::make(const step::Discard& step) {
    for (const Part& part : parts_of(step.range)) {
        if (int error = set_aside(part)) return error;
        if (int error = map_anonymous(part.host, part.range.size().bytes, host_prot(step.prot))) return error;
    }
    return 0;
}

int Memslots::make(const step::Free& step) {
    free_at_end(step);
    return 0;
}

int Memslots::map_new(const Range& range, Memory memory, remap::Prot prot) {
    uint64_t size = range.size().bytes;
    std::byte* at = nullptr;
    if (int error = take_place(size, range.start().value, at)) return error;
    undo({.kind = HostAction::Kind::close, .at = at, .size = size});
    int error = memory.kind == MemoryKind::anon ? map_anonymous(at, size, host_prot(prot))
                                                : map_object(at, size, memory, host_prot(prot));
    if (error != 0) return error;
    return add(range, HostAddress{reinterpret_cast<uint64_t>(at)});
}

// ---- the arena ----

// A free place, congruent to the guest address, so that huge pages fit.
int Memslots::take_place(uint64_t size, uint64_t congruent_to, std::byte*& at) {
    auto arena = HostRange::of(HostAddress{reinterpret_cast<uint64_t>(reservation_.window())},
                               Size{2 * reservation_.size()});
    Size modulus = size >= remap::gib1.bytes   ? remap::gib1
                   : size >= remap::mib2.bytes ? remap::mib2
                                               : remap::kib4;
    auto place = books_.places.lowest_gap(arena, Size{size}, modulus, congruent_to);
    if (!place) return ENOMEM;
    books_.places.insert({HostRange::of(*place, Size{size})});
    at = reinterpret_cast<std::byte*>(place->value);
    return 0;
}

// `left` is part of one place that was taken.
void Memslots::leave_place(const HostRange& left) {
    HostRange whole = books_.places.find(left.start())->range;
    books_.places.erase_starting_in(whole);
    if (whole.start() < left.start()) books_.places.insert({HostRange::between(whole.start(), left.start())});
    if (left.end() < whole.end()) books_.places.insert({HostRange::between(left.end(), whole.end())});
}

void Memslots::leave_place_at_end(std::byte* at, uint64_t size) {
    leaving_.push_back(HostRange::of(HostAddress{reinterpret_cast<uint64_t>(at)}, Size{size}));
    finish({.kind = HostAction::Kind::close, .at = at, .size = size});
}

// Moves the memory of the part to another place; its own stays taken, and is a hole.
int Memslots::set_aside(const Part& part) {
    uint64_t size = part.range.size().bytes;
    std::byte* aside = nullptr;
    if (int error = take_place(size, reinterpret_cast<uint64_t>(part.host), aside)) return error;
    undo({.kind = HostAction::Kind::close, .at = aside, .size = size});
    if (int error = move_undoably(part.host, aside, size)) return error;
    leave_place_at_end(aside, size);
    return 0;
}

// ---- the slots ----

std::vector<Memslots::Slot> Memslots::slots_in(const Range& range) const {
    std::vector<Slot> found;
    books_.slots.visit_overlapping(range, [&](const Slot& slot) {
        found.push_back(slot);
        return true;
    });
    return found;
}

std::vector<Memslots::Part> Memslots::parts_of(const Range& range) const {
    std::vector<Part> parts;
    for (const Slot& slot : slots_in(range)) {
        Range inside = *slot.range.intersection(range);
        Size skipped = inside.start().above(slot.range.start());
        parts.push_back({inside, reinterpret_cast<std::byte*>(slot.host.advanced(skipped).value)});
    }
    return parts;
}

int Memslots::add(const Range& range, HostAddress host) {
    uint32_t number = next_number_;
    if (!free_numbers_.empty()) {
        number = free_numbers_.back();
    } else if (number >= vm_.capabilities().memslots) {
        return ENOMEM;
    }
    make_room_for_notes(1);
    books_.slots.insert({range, host, number});
    auto* at = reinterpret_cast<std::byte*>(host.value);
    if (int error = set_slot(number, range.start().value, range.size().bytes, at)) return error;
    undo({.kind = HostAction::Kind::set_slot, .slot = number});
    free_numbers_.empty() ? void(++next_number_) : free_numbers_.pop_back();
    numbers_taken_.push_back(number);
    return 0;
}

int Memslots::remove(const Slot& slot) {
    make_room_for_notes(1);
    books_.slots.erase_starting_in(slot.range);
    if (int error = set_slot(slot.number, slot.range.start().value, 0, nullptr)) return error;
    undo({.kind = HostAction::Kind::set_slot,
          .at = reinterpret_cast<std::byte*>(slot.host.value),
          .size = slot.range.size().bytes,
          .slot = slot.number,
          .gpa = slot.range.start().value});
    numbers_left_.push_back(slot.number);
    return 0;
}

int Memslots::move(const Slot& slot, Gpa to) {
    make_room_for_notes(1);
    books_.slots.erase_starting_in(slot.range);
    books_.slots.insert({Range::of(to, slot.range.size()), slot.host, slot.number});
    auto* at = reinterpret_cast<std::byte*>(slot.host.value);
    uint64_t size = slot.range.size().bytes;
    if (int error = set_slot(slot.number, to.value, size, at)) return error;
    undo({.kind = HostAction::Kind::set_slot,
          .at = at,
          .size = size,
          .slot = slot.number,
          .gpa = slot.range.start().value});
    return 0;
}

// Makes two slots of one that lies across `at`. KVM cannot resize a live slot.
int Memslots::cut(Gpa at) {
    const Slot* across = books_.slots.find(at);
    if (!across || across->range.start() == at) return 0;
    Slot whole = *across;
    Range low = Range::between(whole.range.start(), at), high = Range::between(at, whole.range.end());
    if (int error = remove(whole)) return error;
    if (int error = add(low, whole.host)) return error;
    return add(high, whole.host.advanced(low.size()));
}

int Memslots::cut_ends(const Range& range) {
    if (int error = cut(range.start())) return error;
    return cut(range.end());
}

}  // namespace gpremap
