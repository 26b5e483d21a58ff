#include "vmm/stage2/window.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "vmm/errors.h"

namespace gpremap {
namespace {

using remap::Gpa;
using remap::Memory;
using remap::MemoryKind;
using remap::Prot;
using remap::Range;
using remap::Size;
namespace step = remap::step;

// One slot covers one chunk. With shadow paging a slot costs 8 bytes a page, so only what is used is opened.
constexpr Size chunk = remap::gib1;

// What is in `range` but not in `other`, where they overlap at one end.
Range without(const Range& range, const Range& other) {
    if (!range.overlaps(other)) return range;
    if (other.start() > range.start()) return Range::between(range.start(), other.start());
    return Range::between(other.end(), range.end());
}

}  // namespace

Window::Window(Vm& vm, const Range& aperture, const BackingObject& object) : Stage2(vm, aperture, object) {
    if (aperture_.size().bytes / chunk.bytes + 2 > vm.capabilities().memslots)
        throw HostLacks("KVM has " + std::to_string(vm.capabilities().memslots) +
                        " memslots of 1 GiB: make vm.aperture.size smaller");
}

bool Window::can_destroy(const remap::Step& step) const {
    return std::holds_alternative<step::Unmap>(step) || std::holds_alternative<step::Discard>(step) ||
           std::holds_alternative<step::Free>(step);
}

int Window::carry_out(const remap::Step& step) {
    return std::visit([&](const auto& which) { return make(which); }, step);
}

// ---- the steps: each notes how to undo it, and returns the errno of a host call that failed ----

int Window::make(const step::Map& step) {
    if (int error = open_slots(step.range)) return error;
    uint64_t size = step.range.size().bytes;
    // The guest, or a copy, may have put something into new pages of the object by then.
    if (step.memory.kind == MemoryKind::object)
        undo({.kind = HostAction::Kind::punch_hole, .size = size, .offset = step.memory.offset.value});
    undo({.kind = HostAction::Kind::close, .at = host(step.range.start()), .size = size});
    if (step.memory.kind == MemoryKind::anon)
        return map_anonymous(host(step.range.start()), step.range.size().bytes, host_prot(step.prot));
    return map_object(host(step.range.start()), step.range.size().bytes, step.memory, host_prot(step.prot));
}

int Window::make(const step::View& step) {
    if (int error = open_slots(step.range)) return error;
    undo({.kind = HostAction::Kind::close, .at = host(step.range.start()), .size = step.range.size().bytes});
    return map_object(host(step.range.start()), step.range.size().bytes, step.memory, host_prot(step.prot));
}

// Kept in the mirror until the call has succeeded.
int Window::make(const step::Unmap& step) {
    if (int error = displace(step.range)) return error;
    return close_vacated(step.range);
}

int Window::make(const step::Move& step) {
    Range from = step.from, to = Range::of(step.to, step.from.size());
    uint64_t size = from.size().bytes;
    if (int error = open_slots(to)) return error;
    std::byte *start = host(from.start()), *target = host(to.start());
    // mremap unmaps its target before it can fail.
    Range fresh = without(to, from);
    undo({.kind = HostAction::Kind::close, .at = host(fresh.start()), .size = fresh.size().bytes});
    if (!from.overlaps(to) && may_leave(size)) {
        make_room_for_notes(1);
        int error = calls_.move_and_leave(start, target, size);
        if (error == 0) {
            undo({.kind = HostAction::Kind::move, .at = target, .to = start, .size = size});
            return calls_.protect(start, size, PROT_NONE);
        }
        // Huge pages of hugetlb, and before Linux 6.17 several mappings, cannot be moved so.
        if (error != EINVAL && error != EFAULT) return error;
    }
    if (from.overlaps(to)) {
        if (int error = move_undoably(start, mirror(from.start()), size)) return error;
        start = mirror(from.start());
    }
    if (int error = move_undoably(start, target, size)) return error;
    return close_vacated(without(from, to));
}

// A move can leave its source mapped, and close it with a second call, where no vCPU can write to it in
// between: the kernel then tells KVM of one change less, and the window has no hole for a moment. What is
// left does not merge with its closed neighbours, so that is for large moves: at most 8192 fit.
bool Window::may_leave(uint64_t size) const {
    return others_ == Others::kept_out && size >= std::max(remap::mib2.bytes, aperture_.size().bytes / 8192);
}

int Window::make(const step::Exchange& step) {
    std::byte *a = host(step.a.start()), *b = host(step.b.start()), *aside = mirror(step.a.start());
    for (auto [from, to] : {std::pair{a, aside}, std::pair{b, a}, std::pair{aside, b}})
        if (int error = move_undoably(from, to, step.a.size().bytes)) return error;
    return 0;
}

int Window::make(const step::Protect& step) {
    std::byte* at = host(step.range.start());
    uint64_t size = step.range.size().bytes;
    int now = host_prot(step.prot), was = host_prot(step.was);
    if (now == was) return 0;
    // A change that fails half-way has changed the first mappings.
    undo({.kind = HostAction::Kind::protect, .at = at, .size = size, .prot = was});
    return calls_.protect(at, size, now);
}

// The old memory waits in the mirror. Until the call has succeeded nobody may write to the new: that write
// would be lost if the call failed.
int Window::make(const step::Promote& step) {
    std::byte* aside = mirror(step.range.start());
    uint64_t size = step.range.size().bytes;
    int prot = host_prot(step.prot);
    if (int error = displace(step.range)) return error;
    if (int error = close_vacated(step.range)) return error;
    if (prot == PROT_NONE) {
        undo({.kind = HostAction::Kind::protect, .at = aside, .size = size, .prot = PROT_NONE});
        if (int error = calls_.protect(aside, size, PROT_READ)) return error;
    }
    undo({.kind = HostAction::Kind::punch_hole, .size = size, .offset = step.offset.value});
    if (int error = copy_to_object(aside, step.offset.value, size)) return error;
    allow_writing_at_end(step.range, prot);
    return map_object(host(step.range.start()), step.range.size().bytes, {MemoryKind::object, step.offset},
                      prot & PROT_READ);
}

// As with Promote. What the range had mapped before is a view of the same pages.
int Window::make(const step::Privatize& step) {
    int prot = host_prot(step.prot);
    undo({.kind = HostAction::Kind::view,
          .at = host(step.range.start()),
          .size = step.range.size().bytes,
          .prot = prot,
          .offset = step.memory.offset.value});
    allow_writing_at_end(step.range, prot);
    return map_object(host(step.range.start()), step.range.size().bytes, step.memory, prot & PROT_READ);
}

int Window::make(const step::Copy& step) {
    return calls_.copy_from_file(object_.fd(), step.from.start().value, host(step.to),
                                 step.from.size().bytes);
}

int Window::make(const step::Populate& step) {
    return populate(host(step.range.start()), step.range.size().bytes, step.prot);
}

// In the middle of a batch: the old pages wait in the mirror.
int Window::make(const step::Discard& step) {
    if (int error = displace(step.range)) return error;
    return map_anonymous(host(step.range.start()), step.range.size().bytes, host_prot(step.prot));
}

int Window::make(const step::Free& step) {
    free_at_end(step);
    return 0;
}

// The direct form of what cannot be undone.
int Window::destroy(const remap::Step& any) {
    if (auto* unmap = std::get_if<step::Unmap>(&any))
        return close(host(unmap->range.start()), unmap->range.size().bytes);
    if (auto* discard = std::get_if<step::Discard>(&any))
        return calls_.advise(host(discard->range.start()), discard->range.size().bytes, MADV_DONTNEED);
    return free_now(std::get<step::Free>(any));
}

// ---- what they are made of ----

std::byte* Window::host(Gpa at) const {
    return reservation_.window() + at.above(aperture_.start()).bytes;
}
std::byte* Window::mirror(Gpa at) const {
    return reservation_.mirror() + at.above(aperture_.start()).bytes;
}

// A slot, once open, stays: without a mapping under it the guest sees nothing through it.
int Window::open_slots(const Range& range) {
    uint64_t first = range.start().above(aperture_.start()).bytes / chunk.bytes;
    uint64_t last = (range.end().above(aperture_.start()).bytes - 1) / chunk.bytes;
    for (uint64_t number = first; number <= last; ++number) {
        if (open_.contains(number)) continue;
        Gpa start = aperture_.start().advanced(Size{number * chunk.bytes});
        uint64_t size = std::min(chunk.bytes, aperture_.end().above(start).bytes);
        auto slot = static_cast<uint32_t>(number) + 1;
        if (int error = set_slot(slot, start.value, size, host(start))) return error;
        open_.insert(number);
    }
    return 0;
}

void Window::allow_writing_at_end(const Range& range, int prot) {
    if (!(prot & PROT_WRITE)) return;
    finish({.kind = HostAction::Kind::protect,
            .at = host(range.start()),
            .size = range.size().bytes,
            .prot = prot});
}

// Fills the hole that a move has left. Anything that is there already is not ours: the guest would see it.
int Window::close_vacated(const Range& range) {
    int error = calls_.map(host(range.start()), range.size().bytes, PROT_NONE,
                           closed_flags | MAP_FIXED_NOREPLACE, -1, 0);
    if (error == EEXIST)
        throw std::system_error(error, std::generic_category(), "foreign memory in the window of the guest");
    return error;
}

// Moves the memory of the range into the mirror, from where it goes back on failure and away on success.
// Leaves a hole in the window.
int Window::displace(const Range& range) {
    std::byte *at = host(range.start()), *aside = mirror(range.start());
    uint64_t size = range.size().bytes;
    if (int error = move_undoably(at, aside, size)) return error;
    finish({.kind = HostAction::Kind::drop, .at = aside, .size = size});
    return 0;
}

}  // namespace gpremap
