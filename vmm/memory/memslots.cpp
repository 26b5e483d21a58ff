#include "vmm/memory/memslots.h"

#include <algorithm>

#include "vmm/host/process_limits.h"

namespace gpremap {

using remap::Memory;
using remap::Range;
namespace change = remap::change;

Memslots::Memslots(Vm& vm, const Range& aperture, const BackingObject& object)
    : SlottedStage2(vm, aperture, object), most_mappings_(most_mappings()) {}

Stage2::Choice Memslots::choose(const std::vector<remap::Change>&, const remap::Space&) const {
    return {Mechanism::memslot, "each range has a slot of its own"};
}

// Where ranges are mapped by turns, their places alternate in the arena: what is neighbours for the guest is not on the
// host. So the most mappings that there can be is one for each slot, for the closed place behind it, and for each extent.
// What takes memory away is not refused: it makes no more than the room that is left for the rest of the program.
bool Memslots::has_mappings_for(const std::vector<remap::Change>& changes, const remap::Space& after) const {
    const uint64_t of_the_rest = 2048 + LateCopies::mappings_kept_of(most_mappings_);
    const auto slots = static_cast<uint64_t>(std::ranges::count_if(changes, [](const remap::Change& change) {
        return std::holds_alternative<change::Map>(change) || std::holds_alternative<change::View>(change) ||
               std::holds_alternative<change::Snapshot>(change);
    }));
    const bool adds = slots > 0 || std::ranges::any_of(changes, [](const remap::Change& change) {
                          return std::holds_alternative<change::Protect>(change);
                      });
    return !adds || 2 * (slot_count() + slots) + after.extent_count() + of_the_rest <= most_mappings_;
}

int Memslots::make(const change::Unmap& change) {
    if (int error = cut_ends(change.range)) return error;
    for (const Range& range : change.anonymous)
        for (const Part& part : parts_of(range)) {
            split_at_ends(part.host, part.range.size().bytes);
            reclaim_at_end(part.host, part.range.size().bytes);
        }
    for (const Slot& slot : slots_in(change.range)) {
        if (int error = remove(slot)) return error;
        std::byte* at = pointer_to(slot.host);
        uint64_t size = slot.range.size().bytes;
        leave_place_at_end(at, size);
        journal_.finish({.kind = HostAction::Kind::close, .at = at, .size = size});
    }
    return 0;
}

int Memslots::make(const change::Move& change) {
    return move_slots(change.from, change.to);
}

int Memslots::make(const change::Exchange& change) {
    return exchange_slots(change.a, change.b);
}

int Memslots::map_new(const Range& range, Memory memory, remap::Prot prot) {
    uint64_t size = range.size().bytes;
    std::byte* at = nullptr;
    if (int error = take_place(arena(), size, range.start().value, at)) return error;
    journal_.undo({.kind = HostAction::Kind::close, .at = at, .size = size});
    if (int error = map(at, size, memory, host_prot(prot))) return error;
    return add(range, address_of(at));
}

}  // namespace gpremap
