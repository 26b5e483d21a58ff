#include "vmm/memory/journal.h"

#include <sys/mman.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "vmm/hostmemory/move_memory.h"

namespace gpremap {
namespace {

// What runs out of memory half-way must not look like a call that came to nothing.
template <class Work>
void must_not_run_out_of_memory(Work work, const char* doing) {
    try {
        work();
    } catch (const std::bad_alloc&) {
        throw std::system_error(ENOMEM, std::generic_category(), doing);
    }
}

constexpr const char* undoing = "undoing a call whose host calls failed";
constexpr const char* finishing = "finishing a call that had succeeded";

}  // namespace

Journal::Journal(Vm& vm, const BackingObject& object, HostCalls& calls)
    : vm_(vm), object_(object), calls_(calls) {}

Pool* Journal::any_pool() const {
    if (object_pool_) return object_pool_;
    return pool_;
}

void Journal::begin() {
    undo_.clear();
    finish_.clear();
}

// Grows as push_back would.
void Journal::make_room(size_t count) {
    for (auto* notes : {&undo_, &finish_})
        if (notes->capacity() - notes->size() < count) notes->reserve(2 * notes->size() + count);
}

// The ballast goes at once: the call may have failed for want of mappings. A note is dropped when it has been
// performed, so what is left after a failure is what still stands.
void Journal::undo_all() {
    must_not_run_out_of_memory(
        [&] {
            calls_.cancel_failure();
            calls_.make_room();
            if (Pool* pool = any_pool()) pool->take_back(calls_);
            for (; !undo_.empty(); undo_.pop_back())
                if (int error = perform(undo_.back()))
                    throw std::system_error(error, std::generic_category(), undoing);
        },
        undoing);
    if (Pool* pool = any_pool()) pool->settle();
}

// The ballast goes only if something is refused: most calls never need it.
void Journal::finish_all() {
    must_not_run_out_of_memory(
        [&] {
            for (const HostAction& action : finish_)
                if (int error = calls_.insist([&] { return perform_at_end(action); }))
                    throw std::system_error(error, std::generic_category(), finishing);
        },
        finishing);
    if (Pool* pool = any_pool()) pool->settle();
}

// What is closed or dropped at the end is in the middle of nowhere: no vCPU sees it. Where it is also in the middle of
// a mapping, closing it makes two of that, and the process may have no more. So its memory goes, and its place stays
// mapped until something else is put there.
int Journal::perform_at_end(const HostAction& action) {
    const int error = perform(action);
    const bool empties = action.kind == HostAction::Kind::close || action.kind == HostAction::Kind::drop;
    if (error != ENOMEM || !empties) return error;
    const int kept = calls_.advise(action.at, action.size, MADV_DONTNEED);
    return kept == ENOMEM ? 0 : kept;  // some of it is not mapped, and all else is empty now
}

int Journal::perform(const HostAction& action) {
    using Kind = HostAction::Kind;
    switch (action.kind) {
        case Kind::move:
            return move_memory(calls_, action.at, action.to, action.size, Leaves::hole);
        case Kind::close:
            return calls_.close(action.at, action.size);
        case Kind::protect:
            return calls_.protect(action.at, action.size, action.prot);
        case Kind::view:
            return object_.map(calls_, action.at, action.size, action.offset, action.prot);
        case Kind::punch_hole:
            return object_.punch_hole(calls_, action.offset, action.size);
        case Kind::free: {
            const auto pages = remap::ObjectRange::of(remap::Offset{action.offset}, remap::Size{action.size});
            return object_pool_ ? object_pool_->free(calls_, pages)
                                : object_.punch_hole(calls_, action.offset, action.size);
        }
        case Kind::put_back:
            return object_.copy_in(calls_, action.at, action.offset, action.size);
        case Kind::discard:
            return calls_.advise(action.at, action.size, MADV_DONTNEED);
        case Kind::drop:
            return munmap(action.at, action.size) != 0 ? errno : 0;
        case Kind::set_slot:
            return calls_.set_memslot(vm_, action.slot, action.gpa, action.size, action.at);
        case Kind::reclaim:
            if (pool_) pool_->give(calls_, action.at, action.size, Leaves::hole);
            return 0;
    }
    return EINVAL;
}

}  // namespace gpremap
