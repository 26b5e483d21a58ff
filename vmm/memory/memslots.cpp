#include "vmm/memory/memslots.h"

#include <sys/mman.h>

#include <cerrno>

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
    : SlottedStage2(vm, aperture, object) {}

Stage2::Choice Memslots::choose(const std::vector<remap::Step>&, const remap::Space&) const {
    return {Way::memslot, "each range has a slot of its own"};
}

int Memslots::carry_out(const remap::Step& step) {
    return std::visit([&](const auto& which) { return make(which); }, step);
}

bool Memslots::can_destroy(const remap::Step& step) const {
    return std::holds_alternative<step::Free>(step);
}

int Memslots::destroy(const remap::Step& step) {
    return free_now(std::get<step::Free>(step));
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
    for (const Range& range : step.anonymous)
        for (const Part& part : parts_of(range)) reclaim_at_end(part.host, part.range.size().bytes);
    for (const Slot& slot : slots_in(step.range)) {
        if (int error = remove(slot)) return error;
        close_at_end(pointer_to(slot.host), slot.range.size().bytes);
    }
    return 0;
}

int Memslots::make(const step::Move& step) {
    return move_slots(step.from, step.to);
}

int Memslots::make(const step::Exchange& step) {
    return exchange_slots(step.a, step.b);
}

// The old memory waits elsewhere in the arena until the call has succeeded.
int Memslots::make(const step::Promote& step) {
    int prot = host_prot(step.prot);
    for (const Part& part : parts_of(step.range)) {
        uint64_t size = part.range.size().bytes;
        remap::Size skipped = part.range.start().above(step.range.start());
        uint64_t offset = step.offset.advanced(skipped).value;
        undo({.kind = HostAction::Kind::punch_hole, .size = size, .offset = offset});
        if (prot == PROT_NONE) {
            undo({.kind = HostAction::Kind::protect, .at = part.host, .size = size, .prot = prot});
            if (int error = calls_.protect(part.host, size, PROT_READ)) return error;
        }
        if (int error = copy_to_object(part.host, offset, size, step.was.advanced(skipped))) return error;
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

int Memslots::make(const step::Populate& step) {
    for (const Part& part : parts_of(step.range))
        if (int error = populate(part.host, part.range.size().bytes, step.prot)) return error;
    return 0;
}

int Memslots::make(const step::Discard& step) {
    for (const Part& part : parts_of(step.range)) {
        if (int error = set_aside(part, {part.range})) return error;
        if (int error = map_anonymous(part.host, part.range.size().bytes, host_prot(step.prot))) return error;
    }
    return 0;
}

int Memslots::make(const step::Free& step) {
    return free_undoably(step);
}

int Memslots::map_new(const Range& range, Memory memory, remap::Prot prot) {
    uint64_t size = range.size().bytes;
    std::byte* at = nullptr;
    if (int error = take_place(arena(), size, range.start().value, at)) return error;
    undo({.kind = HostAction::Kind::close, .at = at, .size = size});
    int error = memory.kind == MemoryKind::anon ? map_anonymous(at, size, host_prot(prot))
                                                : map_object(at, size, memory, host_prot(prot));
    if (error != 0) return error;
    return add(range, address_of(at));
}

// ---- the arena ----

void Memslots::close_at_end(std::byte* at, uint64_t size) {
    leave_place_at_end(at, size);
    finish({.kind = HostAction::Kind::close, .at = at, .size = size});
}

// Moves the memory of the part to another place; its own stays taken, and is a hole. Of what is `anonymous`,
// the pool gets its share once the call has succeeded.
int Memslots::set_aside(const Part& part, const std::vector<Range>& anonymous) {
    uint64_t size = part.range.size().bytes;
    std::byte* aside = nullptr;
    if (int error = take_place(arena(), size, address_of(part.host).value, aside)) return error;
    undo({.kind = HostAction::Kind::close, .at = aside, .size = size});
    if (int error = move_undoably(part.host, aside, size)) return error;
    for (const Range& range : anonymous)
        reclaim_at_end(aside + range.start().above(part.range.start()).bytes, range.size().bytes);
    close_at_end(aside, size);
    return 0;
}

}  // namespace gpremap
