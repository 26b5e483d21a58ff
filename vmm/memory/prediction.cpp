#include "vmm/memory/prediction.h"

#include <algorithm>
#include <string>

#include "guest/abi/agent.h"
#include "vmm/host/resident_pages.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

using remap::Extent;
using remap::Gpa;
using remap::MemoryKind;
using remap::Prot;
using remap::Range;
using remap::Size;
using remap::stage2::Piece;

// As stage 2 enforces them: whatever is mapped can be read, and KVM lets nobody deny execution.
Prot enforced(Prot prot) {
    return {static_cast<uint8_t>(remap::readable.bits | (prot.bits & remap::writable.bits) |
                                 remap::executable.bits)};
}

bool is_alike(const Extent& left, const Extent& right) {
    return left.range.end() == right.range.start() && enforced(left.prot) == enforced(right.prot);
}

// Whether the host will have one mapping for both, so that a huge page can hold the end of one and the start
// of the other. Attributes are the core's business, the host does not know them.
bool is_one_mapping(const Extent& left, const Extent& right) {
    if (!is_alike(left, right) || left.memory.kind != right.memory.kind) return false;
    if (left.memory.kind == MemoryKind::anon)
        return left.lineage.advanced(left.range.size()) == right.lineage;
    return left.memory.advanced(left.range.size()) == right.memory;
}

// The extents that are mapped at all, neighbours put together where they are `one`.
std::vector<Extent> mapped_in(const remap::Space& space, const Range& range,
                              bool (*one)(const Extent&, const Extent&)) {
    std::vector<Extent> found;
    for (const Extent& extent : space.extents_in(range)) {
        if (extent.prot == remap::no_access) continue;
        if (!found.empty() && one(found.back(), extent))
            found.back().range = Range::between(found.back().range.start(), extent.range.end());
        else
            found.push_back(extent);
    }
    return found;
}

uint64_t host_address(const Vm::Slot& slot, Gpa at) {
    return reinterpret_cast<uint64_t>(slot.host) + (at.value - slot.gpa);
}

Range range_of(const Vm::Slot& slot) {
    return Range::of(Gpa{slot.gpa}, Size{slot.size});
}

// Calls `act` with each extent and each slot that it lies in, in order.
template <class Act>
void for_each_in_slots(const std::vector<Extent>& extents, const std::vector<Vm::Slot>& slots, Act act) {
    auto slot = slots.begin();
    for (const Extent& extent : extents) {
        while (slot != slots.end() && range_of(*slot).end() <= extent.range.start()) ++slot;
        for (auto here = slot; here != slots.end() && Gpa{here->gpa} < extent.range.end(); ++here)
            act(extent, *here);
    }
}

Piece possible_piece(const Extent& extent, const Vm::Slot& slot, const BackingPages& backing) {
    Gpa start = std::max(extent.range.start(), Gpa{slot.gpa});
    uint64_t host = host_address(slot, start);
    remap::Memory memory = extent.memory.advanced(start.above(extent.range.start()));
    uint64_t place = memory.kind == MemoryKind::anon ? host : memory.offset.value;
    return {extent.range, range_of(slot), host, place, backing.of(memory.kind), enforced(extent.prot)};
}

// Of guest memory that is in the slot.
void append_resident(std::vector<Piece>& pieces, const Range& range, Prot prot, const Vm::Slot& slot,
                     Size huge_page) {
    uint64_t host = host_address(slot, range.start());
    for (const HostPages& run :
         resident_pages(reinterpret_cast<std::byte*>(host), range.size().bytes, huge_page.bytes)) {
        Range part = Range::of(range.start().advanced(Size{run.at}), Size{run.size});
        pieces.push_back({part, range_of(slot), host + run.at, host + run.at, Size{run.page}, prot});
    }
}

Range extended(const Range& range, const Range& limits, Size reach) {
    uint64_t start = range.start().value / reach.bytes * reach.bytes;
    uint64_t last = (range.end().value - 1) / reach.bytes * reach.bytes + (reach.bytes - 1);
    return Range::between(std::max(Gpa{start}, limits.start()),
                          last < limits.end().value ? Gpa{last + 1} : limits.end());
}

}  // namespace

Size BackingPages::of(MemoryKind kind) const {
    switch (kind) {
        case MemoryKind::anon:
            return anon;
        case MemoryKind::object:
            return object;
        case MemoryKind::cow:
            return cow;
    }
    return remap::kib4;
}

BackingPages backing_pages(const BackingObject& object) {
    BackingPages pages;
    pages.object = Size{object.largest_page()};
    pages.cow = Size{object.largest_private_page()};
    if (std::string setting = thp_setting("enabled"); setting == "always" || setting == "madvise")
        pages.anon = remap::mib2;
    return pages;
}

std::vector<Piece> possible_pieces(const remap::Space& space, const Vm& vm, const BackingPages& backing,
                                   const Range& range) {
    Range around = extended(range, space.aperture(), backing.largest());
    std::vector<Piece> pieces;
    for_each_in_slots(mapped_in(space, around, is_one_mapping), vm.slots_in(around),
                      [&](const Extent& extent, const Vm::Slot& slot) {
                          pieces.push_back(possible_piece(extent, slot, backing));
                      });
    return pieces;
}

std::vector<Piece> resident_pieces(const remap::Space& space, const Vm& vm, const BackingPages& backing,
                                   const Range& range) {
    std::vector<Piece> pieces;
    for_each_in_slots(mapped_in(space, range, is_alike), vm.slots_in(range),
                      [&](const Extent& extent, const Vm::Slot& slot) {
                          auto part = extent.range.intersection(range_of(slot))->intersection(range);
                          Size huge_page = std::max(backing.of(extent.memory.kind), remap::mib2);
                          if (part) append_resident(pieces, *part, enforced(extent.prot), slot, huge_page);
                      });
    return pieces;
}

std::vector<Piece> resident_agent_pieces(const Vm& vm) {
    const Range agent = Range::of(Gpa{abi::agent_base}, Size{abi::agent_size});
    std::vector<Piece> pieces;
    for (const Vm::Slot& slot : vm.slots_in(agent))
        append_resident(pieces, agent, enforced(remap::read_write), slot, remap::mib2);
    return pieces;
}

}  // namespace gpremap
