// Snapshots of what has been snapshotted before (SlottedStage2): what was written since is copied at once, or later.
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "vmm/memory/slotted.h"

namespace gpremap {

using remap::Gpa;
using remap::Range;
using remap::Size;
namespace change = remap::change;

// The vCPUs are paused. Other changes of the same call may have taken away the last other view, which comes back if one
// fails, or may move the memory: then nothing goes into the object.
int SlottedStage2::make(const change::Snapshot& change) {
    const bool folds =
        change.exclusive && only_snapshots_ && object_.pages() != BackingObject::Pages::hugetlb;
    if (may_copy_later(change)) return make_later(change, folds);
    for (const Part& part : parts_of(change.from)) {
        if (int error = make_readable(part.host, part.range.size().bytes, change.from_prot)) return error;
        if (folds)
            if (int error = fold(part, change)) return error;
    }
    const Range to = Range::of(change.to, change.from.size());
    if (int error = map_new(to, change.memory, folds ? change.prot : remap::read_write)) return error;
    if (!folds)
        if (int error = copy_written(change)) return error;
    for (const Part& part : parts_of(change.from))
        if (host_prot(change.from_prot) == PROT_NONE)
            if (int error = calls_.protect(part.host, part.range.size().bytes, PROT_NONE)) return error;
    return 0;
}

// What the part reads stays the same, so that there is nothing to undo. Its own pages go when the call has succeeded.
int SlottedStage2::fold(const Part& part, const change::Snapshot& change) {
    const uint64_t size = part.range.size().bytes;
    const uint64_t offset =
        change.memory.advanced(part.range.start().above(change.from.start())).offset.value;
    if (int error = calls_.write_private_pages(part.host, size, object_.fd(), offset)) return error;
    journal_.finish({.kind = HostAction::Kind::discard, .at = part.host, .size = size});
    return 0;
}

// To the new view, which then gets its rights.
int SlottedStage2::copy_written(const change::Snapshot& change) {
    for (const Part& part : parts_of(change.from)) {
        const Gpa to = change.to.advanced(part.range.start().above(change.from.start()));
        uint64_t done = 0;
        for (const Part& copy : parts_of(Range::of(to, part.range.size()))) {
            const uint64_t size = copy.range.size().bytes;
            if (int error = calls_.copy_private_pages(part.host + done, copy.host, size)) return error;
            if (change.prot != remap::read_write)
                if (int error = calls_.protect(copy.host, size, host_prot(change.prot))) return error;
            done += size;
        }
    }
    return 0;
}

// For the VMM, until the call is over.
int SlottedStage2::make_readable(std::byte* at, uint64_t size, remap::Prot prot) {
    if (host_prot(prot) != PROT_NONE) return 0;
    journal_.undo({.kind = HostAction::Kind::protect, .at = at, .size = size, .prot = PROT_NONE});
    return calls_.protect(at, size, PROT_READ);
}

// ---- later ----

// Private pages of hugetlb do not survive it when a part of their mapping moves (vmm/hostmemory/hugetlb.h).
bool SlottedStage2::may_copy_later(const change::Snapshot& change) const {
    const uint64_t size = change.from.size().bytes;
    if (!only_snapshots_ || size < LateCopies::least_size) return false;
    if (object_.pages() == BackingObject::Pages::hugetlb || host_prot(change.from_prot) == PROT_NONE)
        return false;
    // Each part has a piece at its end that may be smaller.
    const size_t pieces = size / LateCopies::piece_size(size) + 2 * parts_of(change.from).size();
    return late_copies_.has_room_for(pieces);
}

int SlottedStage2::make_later(const change::Snapshot& change, bool folds) {
    const Range to = Range::of(change.to, change.from.size());
    LateCopies::Snapshot later{change.from, to, host_prot(change.from_prot), host_prot(change.prot)};
    if (int error = map_new(to, change.memory, remap::no_access)) return error;
    later.pieces = pieces_of(change);
    if (!folds)
        if (int error = map_scratch(change, later)) return error;
    for (const Part& part : parts_of(change.from)) {
        const uint64_t size = part.range.size().bytes;
        if (!(later.from_prot & PROT_WRITE)) break;
        journal_.undo(
            {.kind = HostAction::Kind::protect, .at = part.host, .size = size, .prot = later.from_prot});
        if (int error = calls_.protect(part.host, size, PROT_READ)) return error;
    }
    late_copies_.note(std::move(later));
    return 0;
}

// In one piece on the host on either side, and no larger than is copied at a time.
std::vector<LateCopies::Piece> SlottedStage2::pieces_of(const change::Snapshot& change) const {
    const uint64_t most = LateCopies::piece_size(change.from.size().bytes);
    std::vector<LateCopies::Piece> pieces;
    for (const Part& part : parts_of(change.from)) {
        const Size skipped = part.range.start().above(change.from.start());
        for (const Part& copy : parts_of(Range::of(change.to.advanced(skipped), part.range.size()))) {
            const Size before = copy.range.start().above(change.to);
            for (uint64_t done = 0; done < copy.range.size().bytes; done += most) {
                const uint64_t at = before.bytes + done;
                const Size size{std::min(most, copy.range.size().bytes - done)};
                pieces.push_back({Range::of(change.from.start().advanced(Size{at}), size),
                                  part.host + (at - skipped.bytes), copy.host + done,
                                  change.memory.advanced(Size{at}).offset.value});
            }
        }
    }
    return pieces;
}

// A private view of the same pages, for the VMM alone, congruent to where the snapshot is: huge pages stay whole.
int SlottedStage2::map_scratch(const change::Snapshot& change, LateCopies::Snapshot& later) {
    constexpr uint64_t huge = remap::mib2.bytes;
    const uint64_t size = change.from.size().bytes;
    journal_.make_room();
    void* room = mmap(nullptr, size + huge, PROT_NONE, closed_flags, -1, 0);
    if (room == MAP_FAILED) return errno;
    auto* start = static_cast<std::byte*>(room);
    const uint64_t skipped = (address_of(later.pieces.front().to_at).value - address_of(start).value) % huge;
    if (skipped > 0) munmap(start, skipped);
    if (skipped < huge) munmap(start + skipped + size, huge - skipped);
    later.scratch = start + skipped;
    journal_.undo({.kind = HostAction::Kind::drop, .at = later.scratch, .size = size});
    return object_.map_private(calls_, later.scratch, size, change.memory.offset.value,
                               PROT_READ | PROT_WRITE);
}

}  // namespace gpremap
