#include "vmm/memory/stage2.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

#include "vmm/host/resident_pages.h"
#include "vmm/memory/hugetlb.h"
#include "vmm/memory/move_memory.h"

namespace gpremap {
namespace {

using remap::Gpa;
using remap::MemoryKind;
using remap::Range;
namespace step = remap::step;

// What runs out of memory half-way must not look like a call that came to nothing.
template <class Work>
void must_not_run_out_of_memory(Work work, const char* doing) {
    try {
        work();
    } catch (const std::bad_alloc&) {
        throw std::system_error(ENOMEM, std::generic_category(), doing);
    }
}

}  // namespace

Stage2::Stage2(Vm& vm, const Range& aperture, const BackingObject& object)
    : vm_(vm),
      aperture_(Range::between(Gpa{aperture.start().value / remap::gib1.bytes * remap::gib1.bytes},
                               aperture.end())),
      object_(object),
      reservation_(aperture_.size().bytes) {}

int Stage2::apply(const std::vector<remap::Step>& steps, Way way, Others others) {
    way_ = way;
    others_ = others;
    undo_.clear();
    finish_.clear();
    begin();
    if (int error = carry_out_all(steps)) {
        must_not_run_out_of_memory([&] { undo_all(); }, "undoing a call");
        if (pool_) pool_->settle();
        end(Outcome::undone);
        calls_.take_room_back();
        return error;
    }
    must_not_run_out_of_memory([&] { finish_all(); }, "finishing a call that had succeeded");
    if (pool_) pool_->settle();
    end(Outcome::done);
    calls_.take_room_back();
    return 0;
}

void Stage2::finish_all() {
    for (const HostAction& action : finish_)
        if (int error = with_room([&] { return perform(action); }))
            throw std::system_error(error, std::generic_category(), "finishing a call that had succeeded");
}

namespace {

// Or may: what is promoted or brought in can be a private page over one of the object.
bool reads_object(const remap::Step& step) {
    return std::holds_alternative<step::Copy>(step) || std::holds_alternative<step::Promote>(step) ||
           std::holds_alternative<step::Populate>(step);
}

}  // namespace

// Returns the errno of the first host call that fails, with all that was done noted.
int Stage2::carry_out_all(const std::vector<remap::Step>& steps) {
    // The steps at the end that only destroy are made directly, when everything else has worked.
    size_t undoable = steps.size();
    while (undoable > 0 && can_destroy(steps[undoable - 1])) --undoable;
    auto last_reader = std::find_if(steps.rbegin(), steps.rend(), reads_object);
    for (size_t i = 0; i < undoable; ++i) {
        read_later_ = i + 1 < static_cast<size_t>(steps.rend() - last_reader);
        if (int error = carry_out_guarded(steps[i])) return error;
    }
    // A failure of the first of them leaves its memory as it was, so that everything can still be undone.
    if (undoable < steps.size())
        if (int error = destroy(steps[undoable])) return error;
    // Nothing may fail from here on.
    calls_.cancel_failure();
    for (size_t i = undoable + 1; i < steps.size(); ++i)
        if (int error = with_room([&] { return destroy(steps[i]); }))
            throw std::system_error(error, std::generic_category(), "giving back memory");
    return 0;
}

int Stage2::carry_out_guarded(const remap::Step& step) {
    try {
        return carry_out(step);
    } catch (const std::bad_alloc&) {
        return ENOMEM;
    }
}

// For what must not fail, and can be tried again.
template <class Attempt>
int Stage2::with_room(Attempt attempt) {
    int error = attempt();
    return error == ENOMEM && calls_.make_room() ? attempt() : error;
}

void Stage2::undo_all() {
    calls_.cancel_failure();
    calls_.make_room();
    if (pool_) pool_->take_back(calls_);
    for (; !undo_.empty(); undo_.pop_back())
        if (int error = perform(undo_.back()))
            throw std::system_error(error, std::generic_category(), "undoing a call whose host calls failed");
}

// Noting what has been done must not fail. Grows as push_back would.
void Stage2::make_room_for_notes(size_t count) {
    for (auto* notes : {&undo_, &finish_})
        if (notes->capacity() - notes->size() < count) notes->reserve(2 * notes->size() + count);
}

int Stage2::perform(const HostAction& action) {
    using Kind = HostAction::Kind;
    switch (action.kind) {
        case Kind::move:
            return move_memory(calls_, action.at, action.to, action.size, Leaves::hole);
        case Kind::close:
            return close(action.at, action.size);
        case Kind::protect:
            return calls_.protect(action.at, action.size, action.prot);
        case Kind::view:
            return map_object(action.at, action.size, {MemoryKind::object, remap::Offset{action.offset}},
                              action.prot);
        case Kind::punch_hole:
            return punch_hole(action.offset, action.size);
        case Kind::put_back:
            return copy_to_object(action.at, action.offset, action.size, {});
        case Kind::drop:
            return munmap(action.at, action.size) != 0 ? errno : 0;
        case Kind::set_slot:
            return set_slot(action.slot, action.gpa, action.size, action.at);
        case Kind::reclaim:
            reclaim(action.at, action.size, Leaves::hole);
            return 0;
    }
    return EINVAL;
}

// Adds the slot, moves it to another gpa or, with size 0, deletes it.
int Stage2::set_slot(uint32_t slot, uint64_t gpa, uint64_t size, std::byte* host) {
    if (int error = calls_.about_to_set_memslot()) return error;
    try {
        vm_.set_memory(slot, gpa, size, host, 0);
    } catch (const std::system_error& error) {
        return error.code().value();
    }
    return 0;
}

// x86 has no memory that can be written or executed but not read.
int Stage2::host_prot(remap::Prot prot) {
    if (prot.allows(remap::writable)) return PROT_READ | PROT_WRITE;
    return prot == remap::no_access ? PROT_NONE : PROT_READ;
}

// Whole huge pages from the pool, as far as it has some, and the rest fresh. The guest may write to them
// before a later step fails, so the pool gets them back as memory that has been in use.
int Stage2::map_anonymous(std::byte* at, uint64_t size, int prot) {
    uint64_t head = -reinterpret_cast<uint64_t>(at) % remap::mib2.bytes, warm = 0;
    make_room_for_notes(1);
    if (pool_ && prot == (PROT_READ | PROT_WRITE) && head < size)
        warm = pool_->take(calls_, at + head, size - head);
    if (warm == 0) return map_fresh(at, size, prot);
    undo({.kind = HostAction::Kind::reclaim, .at = at + head, .size = warm});
    if (head > 0)
        if (int error = map_fresh(at, head, prot)) return error;
    uint64_t behind = size - head - warm;
    return behind > 0 ? map_fresh(at + head + warm, behind, prot) : 0;
}

uint64_t Stage2::reclaim(std::byte* at, uint64_t size, Leaves leaves) {
    return pool_ ? pool_->give(calls_, at, size, leaves) : 0;
}

void Stage2::reclaim_at_end(std::byte* at, uint64_t size) {
    if (pool_) finish({.kind = HostAction::Kind::reclaim, .at = at, .size = size});
}

int Stage2::map_fresh(std::byte* at, uint64_t size, int prot) {
    if (int error = calls_.map(at, size, prot, closed_flags | MAP_FIXED, -1, 0)) return error;
    return ask_for_huge_pages(at, size);
}

// Small ranges ask, too: neighbours grow together. A kernel without huge pages says EINVAL.
int Stage2::ask_for_huge_pages(std::byte* at, uint64_t size) {
    int error = calls_.advise(at, size, MADV_HUGEPAGE);
    return error == EINVAL ? 0 : error;
}

int Stage2::map_object(std::byte* at, uint64_t size, remap::Memory memory, int prot) {
    using Pages = BackingObject::Pages;
    bool hugetlb = object_.pages() == Pages::huge_2m, shared = memory.kind == MemoryKind::object;
    if (hugetlb && shared) return map_hugetlb(calls_, at, size, object_.fd(), memory.offset.value, prot);
    int sharing = shared ? MAP_SHARED : MAP_PRIVATE;
    // Huge pages are reserved here, so that there is one when the guest writes; small ones need not be.
    if (!shared && !hugetlb) sharing |= MAP_NORESERVE;
    if (int error = calls_.map(at, size, prot, sharing | MAP_FIXED, object_.fd(), memory.offset.value))
        return error;
    return shared && object_.pages() == Pages::transparent ? ask_for_huge_pages(at, size) : 0;
}

int Stage2::copy_to_object(std::byte* from, uint64_t offset, uint64_t size, remap::Memory was) {
    using Pages = BackingObject::Pages;
    if (object_.pages() == Pages::huge_2m)
        return calls_.copy_to_hugetlb_file(from, object_.fd(), offset, size);
    using Through = HostCalls::Through;
    auto through = object_.pages() == Pages::transparent ? Through::huge_mapping : Through::system_call;
    auto shown = was.kind == MemoryKind::anon ? std::nullopt : std::optional(was.offset.value);
    return calls_.copy_to_file(from, object_.fd(), offset, size, through, shown);
}

// Replaces whatever is there by nothing.
int Stage2::close(std::byte* at, uint64_t size) {
    return calls_.map(at, size, PROT_NONE, closed_flags | MAP_FIXED, -1, 0);
}

int Stage2::populate(std::byte* at, uint64_t size, remap::Prot prot) {
    if (prot == remap::no_access) return 0;
    return calls_.advise(at, size, prot.allows(remap::writable) ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

// A hole cannot be undone, so it waits until the call has succeeded, unless a step that follows has to read
// zero there: in a batch, that is.
int Stage2::free_undoably(const step::Free& step) {
    if (read_later_) return free_with_copy(step);
    finish({.kind = HostAction::Kind::punch_hole,
            .size = step.pages.size().bytes,
            .offset = step.pages.start().value});
    return 0;
}

int Stage2::free_with_copy(const step::Free& step) {
    uint64_t offset = step.pages.start().value, size = step.pages.size().bytes;
    make_room_for_notes(2);
    void* copy = mmap(nullptr, size, PROT_READ | PROT_WRITE, closed_flags, -1, 0);
    if (copy == MAP_FAILED) return errno;
    auto* at = static_cast<std::byte*>(copy);
    undo({.kind = HostAction::Kind::drop, .at = at, .size = size});
    finish({.kind = HostAction::Kind::drop, .at = at, .size = size});
    if (int error = calls_.copy_from_file(object_.fd(), offset, at, size)) return error;
    undo({.kind = HostAction::Kind::put_back, .at = at, .size = size, .offset = offset});
    return punch_hole(offset, size);
}

int Stage2::free_now(const step::Free& step) {
    return punch_hole(step.pages.start().value, step.pages.size().bytes);
}

int Stage2::punch_hole(uint64_t offset, uint64_t size) {
    if (object_.pages() == BackingObject::Pages::huge_2m)
        return calls_.punch_hole_in_hugetlb_file(object_.fd(), offset, size);
    return calls_.punch_hole(object_.fd(), offset, size);
}

int Stage2::move_undoably(std::byte* from, std::byte* to, uint64_t size) {
    make_room_for_notes(1);
    if (int error = move_memory(calls_, from, to, size, Leaves::hole)) return error;
    undo({.kind = HostAction::Kind::move, .at = to, .to = from, .size = size});
    return 0;
}

uint64_t Stage2::anonymous_bytes() const {
    return gpremap::anonymous_bytes(reservation_.window(), 2 * reservation_.size());
}

}  // namespace gpremap
