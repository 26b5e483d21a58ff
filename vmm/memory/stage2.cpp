#include "vmm/memory/stage2.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

#include "vmm/host/resident_pages.h"
#include "vmm/hostmemory/hugetlb.h"
#include "vmm/hostmemory/move_memory.h"

namespace gpremap {
namespace {

using remap::Gpa;
using remap::MemoryKind;
using remap::Range;
namespace change = remap::change;

}  // namespace

Stage2::Stage2(Vm& vm, const Range& aperture, const BackingObject& object)
    : vm_(vm),
      aperture_(Range::between(Gpa{aperture.start().value / remap::gib1.bytes * remap::gib1.bytes},
                               aperture.end())),
      object_(object),
      reservation_(aperture_.size().bytes),
      journal_(vm, object, calls_),
      late_copies_(object, calls_) {}

void Stage2::use(WarmPool& pool) {
    pool_ = &pool;
    journal_.use(pool);
}

void Stage2::use(ObjectPool& pool) {
    object_pool_ = &pool;
    journal_.use(pool);
}

int Stage2::apply(const std::vector<remap::Change>& changes, Mechanism mechanism, Others others) {
    mechanism_ = mechanism;
    others_ = others;
    only_snapshots_ = std::all_of(changes.begin(), changes.end(), [](const remap::Change& change) {
        return std::holds_alternative<change::Snapshot>(change);
    });
    journal_.begin();
    begin();
    const int error = carry_out_all(changes);
    if (error != 0)
        journal_.undo_all();
    else
        journal_.finish_all();
    end(error != 0 ? Outcome::undone : Outcome::done);
    late_copies_.end_call(error != 0 ? LateCopies::Outcome::undone : LateCopies::Outcome::done);
    calls_.take_room_back();
    return error;
}

namespace {

// Or may: what is promoted or brought in can be a private page over one of the object.
bool reads_object(const remap::Change& change) {
    return std::holds_alternative<change::Snapshot>(change) || std::holds_alternative<change::Copy>(change) ||
           std::holds_alternative<change::Promote>(change) ||
           std::holds_alternative<change::Populate>(change);
}

}  // namespace

// Returns the errno of the first host call that fails, with all that was done noted.
int Stage2::carry_out_all(const std::vector<remap::Change>& changes) {
    const uint64_t most = calls_.work() + most_work;
    // The changes at the end that only destroy are made directly, when everything else has worked.
    size_t undoable = changes.size();
    while (undoable > 0 && can_destroy(changes[undoable - 1])) --undoable;
    auto last_reader = std::find_if(changes.rbegin(), changes.rend(), reads_object);
    for (size_t i = 0; i < undoable; ++i) {
        if (calls_.work() > most) return ENOMEM;
        read_later_ = i + 1 < static_cast<size_t>(changes.rend() - last_reader);
        if (int error = carry_out_guarded(changes[i])) return error;
    }
    // A failure of the first of them leaves its memory as it was, so that everything can still be undone.
    if (undoable < changes.size())
        if (int error = destroy(changes[undoable])) return error;
    // Nothing may fail from here on.
    calls_.cancel_failure();
    for (size_t i = undoable + 1; i < changes.size(); ++i)
        if (int error = calls_.insist([&] { return destroy(changes[i]); }))
            throw std::system_error(error, std::generic_category(), "giving back memory");
    return 0;
}

int Stage2::carry_out_guarded(const remap::Change& change) {
    try {
        return carry_out(change);
    } catch (const std::bad_alloc&) {
        return ENOMEM;
    }
}

// x86 has no memory that can be written or executed but not read.
int Stage2::host_prot(remap::Prot prot) {
    if (prot.allows(remap::writable)) return PROT_READ | PROT_WRITE;
    return prot == remap::no_access ? PROT_NONE : PROT_READ;
}

// Whole huge pages from the pool, as far as it has some, and the rest fresh. The guest may write to them
// before a later change fails, so the pool gets them back as memory that has been in use.
int Stage2::map_anonymous(std::byte* at, uint64_t size, int prot) {
    uint64_t head = -reinterpret_cast<uint64_t>(at) % remap::mib2.bytes, warm = 0;
    journal_.make_room();
    if (pool_ && prot == (PROT_READ | PROT_WRITE) && head < size)
        warm = pool_->take(calls_, at + head, size - head);
    if (warm == 0) return map_fresh(at, size, prot);
    journal_.undo({.kind = HostAction::Kind::reclaim, .at = at + head, .size = warm});
    if (head > 0)
        if (int error = map_fresh(at, head, prot)) return error;
    uint64_t behind = size - head - warm;
    return behind > 0 ? map_fresh(at + head + warm, behind, prot) : 0;
}

uint64_t Stage2::reclaim(std::byte* at, uint64_t size, Leaves leaves) {
    return pool_ ? pool_->give(calls_, at, size, leaves) : 0;
}

void Stage2::reclaim_at_end(std::byte* at, uint64_t size) {
    if (pool_) journal_.finish({.kind = HostAction::Kind::reclaim, .at = at, .size = size});
}

int Stage2::map_fresh(std::byte* at, uint64_t size, int prot) {
    if (int error = calls_.map(at, size, prot, closed_flags | MAP_FIXED, -1, 0)) return error;
    return calls_.ask_for_huge_pages(at, size);
}

int Stage2::map_object(std::byte* at, uint64_t size, remap::Memory memory, int prot) {
    uint64_t offset = memory.offset.value;
    if (memory.kind == MemoryKind::object) return object_.map(calls_, at, size, offset, prot);
    if (object_.pages() == BackingObject::Pages::hugetlb) has_private_hugetlb_ = true;
    return object_.map_private(calls_, at, size, offset, prot);
}

int Stage2::copy_to_object(std::byte* from, uint64_t offset, uint64_t size, remap::Memory was) {
    auto shown = was.kind == MemoryKind::anon ? std::nullopt : std::optional(was.offset.value);
    return object_.copy_in(calls_, from, offset, size, shown);
}

int Stage2::populate(std::byte* at, uint64_t size, remap::Prot prot) {
    if (prot == remap::no_access) return 0;
    return calls_.advise(at, size, prot.allows(remap::writable) ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

// A hole cannot be undone, so it waits until the call has succeeded, unless a change that follows has to read
// zero there: in a batch, that is.
int Stage2::free_undoably(const change::Free& change) {
    if (read_later_) return free_with_copy(change);
    const bool unmapped = change.are == change::Free::Pages::unmapped;
    journal_.finish({.kind = unmapped ? HostAction::Kind::free : HostAction::Kind::punch_hole,
                     .size = change.pages.size().bytes,
                     .offset = change.pages.start().value});
    return 0;
}

int Stage2::free_with_copy(const change::Free& change) {
    uint64_t offset = change.pages.start().value, size = change.pages.size().bytes;
    journal_.make_room(2);
    void* copy = mmap(nullptr, size, PROT_READ | PROT_WRITE, closed_flags, -1, 0);
    if (copy == MAP_FAILED) return errno;
    auto* at = static_cast<std::byte*>(copy);
    journal_.undo({.kind = HostAction::Kind::drop, .at = at, .size = size});
    journal_.finish({.kind = HostAction::Kind::drop, .at = at, .size = size});
    if (int error = calls_.copy_from_file(object_.fd(), offset, at, size)) return error;
    journal_.undo({.kind = HostAction::Kind::put_back, .at = at, .size = size, .offset = offset});
    if (object_.pages() != BackingObject::Pages::hugetlb) return object_.punch_hole(calls_, offset, size);
    // Another process could take pages that went to the pool now, and nothing could be put back.
    journal_.finish({.kind = HostAction::Kind::punch_hole, .size = size, .offset = offset});
    return calls_.zero_hugetlb_file(object_.fd(), offset, size);
}

uint64_t Stage2::take_from_pool(const remap::ObjectRange& pages) {
    return object_pool_ ? object_pool_->take(pages) : 0;
}

int Stage2::free_now(const change::Free& change) {
    if (object_pool_ && change.are == change::Free::Pages::unmapped)
        return object_pool_->free(calls_, change.pages);
    return object_.punch_hole(calls_, change.pages.start().value, change.pages.size().bytes);
}

int Stage2::move_undoably(std::byte* from, std::byte* to, uint64_t size) {
    journal_.make_room();
    if (has_private_hugetlb_)
        if (int error = split_off_hugetlb(calls_, from, size)) return error;
    if (int error = move_memory(calls_, from, to, size, Leaves::hole)) return error;
    journal_.undo({.kind = HostAction::Kind::move, .at = to, .to = from, .size = size});
    return 0;
}

// One mremap flushes once for all that it moves of hugetlb; each of the mappings that lie there takes one.
uint64_t Stage2::flushes_of_move(uint64_t from, uint64_t to, uint64_t size, MemoryKind kind) const {
    const bool hugetlb = kind != MemoryKind::anon && object_.pages() == BackingObject::Pages::hugetlb;
    return hugetlb ? 1 + (size - 1) / largest_hugetlb_mapping(object_.largest_page())
                   : flushes_of_mremap(from, to, size);
}

uint64_t Stage2::flushes_of_map(uint64_t size) const {
    return pool_ ? std::min(size, pool_->ready()) / remap::mib2.bytes : 0;
}

uint64_t Stage2::flushes_of_reclaim(uint64_t size) const {
    return pool_ ? std::min(size, pool_->room()) / remap::mib2.bytes : 0;
}

void Stage2::note_shift(Gpa from, Gpa to) {
    if ((from.value - to.value) % remap::mib2.bytes != 0) begin_ = HostCalls::HugePages::shifted;
}

uint64_t Stage2::anonymous_bytes() const {
    return gpremap::anonymous_bytes(reservation_.window(), 2 * reservation_.size());
}

}  // namespace gpremap
