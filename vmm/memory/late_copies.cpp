#include "vmm/memory/late_copies.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <variant>

#include "vmm/base/threads.h"
#include "vmm/hostmemory/move_memory.h"

namespace gpremap {
namespace {

using remap::Gpa;
using remap::Range;
namespace change = remap::change;

constexpr uint64_t most_pieces_of_one = LateCopies::most_pieces / 2;

// What a change has to do with. Those that name pages of the object may be about any range that shows them.
std::vector<Range> ranges_of(const remap::Change& change, const Range& any) {
    struct {
        const Range& any;
        std::vector<Range> operator()(const change::Map& map) const { return {map.range}; }
        std::vector<Range> operator()(const change::View&) const { return {any}; }
        std::vector<Range> operator()(const change::Unmap& unmap) const { return {unmap.range}; }
        std::vector<Range> operator()(const change::Move& move) const {
            return {move.from, Range::of(move.to, move.from.size())};
        }
        std::vector<Range> operator()(const change::Exchange& exchange) const {
            return {exchange.a, exchange.b};
        }
        std::vector<Range> operator()(const change::Protect& protect) const { return {protect.range}; }
        std::vector<Range> operator()(const change::Promote& promote) const { return {promote.range}; }
        std::vector<Range> operator()(const change::Privatize& privatize) const { return {privatize.range}; }
        std::vector<Range> operator()(const change::Snapshot& snapshot) const {
            return {snapshot.from, Range::of(snapshot.to, snapshot.from.size())};
        }
        std::vector<Range> operator()(const change::Copy&) const { return {any}; }
        std::vector<Range> operator()(const change::Populate& populate) const { return {populate.range}; }
        std::vector<Range> operator()(const change::Discard& discard) const { return {discard.range}; }
        std::vector<Range> operator()(const change::Free& free) const {
            return free.are == change::Free::Pages::mapped ? std::vector{any} : std::vector<Range>{};
        }
    } ranges{any};
    return std::visit(ranges, change);
}

std::byte* scratch_of(const LateCopies::Snapshot& snapshot, const LateCopies::Piece& piece) {
    return snapshot.scratch + piece.from.start().above(snapshot.from.start()).bytes;
}

enum class Concern { none, drops, needs };

Concern concern_of(const LateCopies::Snapshot& snapshot, const remap::Change& change) {
    const auto* unmap = std::get_if<change::Unmap>(&change);
    if (unmap && unmap->range.contains(snapshot.to) && !unmap->range.overlaps(snapshot.from))
        return Concern::drops;
    const auto ranges = ranges_of(change, snapshot.from);
    const bool needs = std::ranges::any_of(ranges, [&](const Range& range) {
        return range.overlaps(snapshot.from) || range.overlaps(snapshot.to);
    });
    return needs ? Concern::needs : Concern::none;
}

}  // namespace

LateCopies::~LateCopies() {
    if (!lock_) return;
    {
        std::lock_guard held(*lock_);
        stops_ = true;
    }
    work_.notify_all();
    copier_.join();
    for (const Pending& pending : pending_)
        for (const Piece& piece : pending.snapshot.pieces)
            if (!piece.is_done) leave_scratch(pending.snapshot, piece);
}

void LateCopies::start(std::mutex& lock, std::function<void()> stop) {
    lock_ = &lock;
    copier_ = start_without_signals([this, &lock, stop = std::move(stop)] { run(lock, stop); });
}

// ---- of a call ----

bool LateCopies::has_room_for(size_t pieces) const {
    size_t left = pieces;
    for (const auto* list : {&pending_, &noted_})
        for (const Pending& pending : *list) left += pending.snapshot.pieces.size() - pending.next;
    return lock_ && left <= most_pieces;
}

uint64_t LateCopies::piece_size(uint64_t size) {
    constexpr uint64_t least = remap::mib2.bytes;
    return std::max(least, (size / most_pieces_of_one + least - 1) / least * least);
}

void LateCopies::finish_for(const std::vector<remap::Change>& changes) {
    for (Pending& pending : pending_) {
        Concern most = Concern::none;
        for (const remap::Change& change : changes)
            most = std::max(most, concern_of(pending.snapshot, change));
        if (most == Concern::needs) finish(pending, counts_.awaited);
        pending.is_dropped = most == Concern::drops;
    }
    erase_finished();
}

void LateCopies::end_call(Outcome outcome) {
    if (outcome == Outcome::done) {
        for (Pending& pending : pending_)
            if (pending.is_dropped) drop(pending);
        erase_finished();
        for (const Pending& noted : noted_) counts_.deferred += noted.snapshot.from.size().bytes;
        pending_.splice(pending_.end(), noted_);
        work_.notify_all();
    }
    noted_.clear();
    for (Pending& pending : pending_) pending.is_dropped = false;
}

// ---- copying ----

void LateCopies::finish_at(Gpa at) {
    for (Pending& pending : pending_) {
        Snapshot& snapshot = pending.snapshot;
        const bool is_source = snapshot.from.contains(at);
        if (!is_source && !snapshot.to.contains(at)) continue;
        const Gpa from = is_source ? at : snapshot.from.start().advanced(at.above(snapshot.to.start()));
        for (Piece& piece : snapshot.pieces)
            if (!piece.is_done && piece.from.contains(from)) finish(pending, piece, counts_.awaited);
    }
    erase_finished();
}

void LateCopies::finish(Pending& pending, uint64_t& counted) {
    for (Piece& piece : pending.snapshot.pieces)
        if (!piece.is_done) finish(pending, piece, counted);
}

template <class Attempt>
void LateCopies::insist(Attempt attempt) {
    if (int error = calls_.insist(attempt))
        throw std::system_error(error, std::generic_category(), "copying for a snapshot that was made");
}

void LateCopies::finish(Pending& pending, Piece& piece, uint64_t& counted) {
    const Snapshot& snapshot = pending.snapshot;
    const uint64_t size = piece.from.size().bytes, before = calls_.counts().copied_bytes;
    Seen seen = Seen::by_nobody;
    if (snapshot.scratch)
        seen = copy(snapshot, piece);
    else
        fold(piece);
    if (seen == Seen::by_nobody) insist([&] { return calls_.protect(piece.to_at, size, snapshot.to_prot); });
    if (snapshot.from_prot & PROT_WRITE)
        insist([&] { return calls_.protect(piece.from_at, size, snapshot.from_prot); });
    calls_.take_room_back();
    piece.is_done = true;
    auto& pieces = pending.snapshot.pieces;
    while (pending.next < pieces.size() && pieces[pending.next].is_done) pending.next++;
    counted += size;
    counts_.copied_bytes += calls_.counts().copied_bytes - before;
}

// What the range reads stays the same all the while.
void LateCopies::fold(const Piece& piece) {
    const uint64_t size = piece.from.size().bytes;
    insist([&] { return calls_.write_private_pages(piece.from_at, size, object_.fd(), piece.offset); });
    insist([&] { return calls_.advise(piece.from_at, size, MADV_DONTNEED); });
}

// Returns whether it is where the guest sees it: not where nothing was written, and the snapshot's own mapping will do.
LateCopies::Seen LateCopies::copy(const Snapshot& snapshot, const Piece& piece) {
    const uint64_t size = piece.from.size().bytes, before = calls_.counts().copied_bytes;
    std::byte* at = scratch_of(snapshot, piece);
    insist([&] { return calls_.copy_private_pages(piece.from_at, at, size); });
    if (calls_.counts().copied_bytes == before) {
        leave_scratch(snapshot, piece);
        return Seen::by_nobody;
    }
    insist([&] { return calls_.protect(at, size, snapshot.to_prot); });
    insist([&] { return move_memory(calls_, at, piece.to_at, size, Leaves::hole); });
    return Seen::by_the_guest;
}

// Of a piece that is still there.
void LateCopies::leave_scratch(const Snapshot& snapshot, const Piece& piece) {
    if (!snapshot.scratch) return;
    munmap(scratch_of(snapshot, piece), piece.from.size().bytes);
}

// The snapshot has gone. What its pieces would have been is nobody's; the range can be written again.
void LateCopies::drop(Pending& pending) {
    for (Piece& piece : pending.snapshot.pieces) {
        if (piece.is_done) continue;
        const uint64_t size = piece.from.size().bytes;
        leave_scratch(pending.snapshot, piece);
        if (pending.snapshot.from_prot & PROT_WRITE)
            insist([&] { return calls_.protect(piece.from_at, size, pending.snapshot.from_prot); });
        counts_.dropped += size;
    }
    pending.next = pending.snapshot.pieces.size();
}

void LateCopies::erase_finished() {
    pending_.remove_if([](const Pending& pending) { return pending.next == pending.snapshot.pieces.size(); });
}

// ---- the thread ----

// As long as it takes for a piece, others have their turn: calls, vCPUs that wait, and whatever else wants the processor.
void LateCopies::run(std::mutex& lock, const std::function<void()>& stop) {
    using Clock = std::chrono::steady_clock;
    begin_thread(ThreadKind::copier, "copier");
    std::unique_lock held(lock);
    while (!stops_) {
        if (pending_.empty()) {
            work_.wait(held);
            continue;
        }
        const auto began = Clock::now();
        try {
            Pending& first = pending_.front();
            finish(first, first.snapshot.pieces[first.next], counts_.in_background);
            erase_finished();
        } catch (...) {
            stop();
            return;
        }
        const auto took = Clock::now() - began;
        held.unlock();
        std::this_thread::sleep_for(took);
        held.lock();
    }
}

}  // namespace gpremap
