#include "vmm/stage2/window.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <new>
#include <sstream>
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

constexpr int closed_flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

// x86 has no memory that can be written or executed but not read.
int host_prot(Prot prot) {
    if (prot.allows(remap::writable)) return PROT_READ | PROT_WRITE;
    return prot == remap::no_access ? PROT_NONE : PROT_READ;
}

bool destroys(const remap::Step& step) {
    return std::holds_alternative<step::Unmap>(step) || std::holds_alternative<step::Discard>(step) ||
           std::holds_alternative<step::Free>(step);
}

// What is in `range` but not in `other`, where they overlap at one end.
Range without(const Range& range, const Range& other) {
    if (!range.overlaps(other)) return range;
    if (other.start() > range.start()) return Range::between(range.start(), other.start());
    return Range::between(other.end(), range.end());
}

}  // namespace

Window::Window(Vm& vm, const Range& aperture, const BackingObject& object)
    : vm_(vm),
      // From a 1 GiB boundary on, so that whole page tables can be moved.
      aperture_(Range::between(Gpa{aperture.start().value / chunk.bytes * chunk.bytes}, aperture.end())),
      object_(object),
      reservation_(aperture_.size().bytes) {
    if (aperture_.size().bytes / chunk.bytes + 2 > vm.capabilities().memslots)
        throw HostLacks("KVM has " + std::to_string(vm.capabilities().memslots) +
                        " memslots of 1 GiB: make vm.aperture.size smaller");
}

int Window::apply(const std::vector<remap::Step>& steps) {
    // Room for all that a step notes, so that noting it cannot fail after the step was made.
    transaction_.undo.clear();
    transaction_.undo.reserve(4 * steps.size());
    transaction_.finish.clear();
    transaction_.finish.reserve(2 * steps.size());
    if (int error = carry_out_all(steps)) {
        undo_all();
        return error;
    }
    for (const HostAction& action : transaction_.finish)
        if (int error = perform(action))
            throw std::system_error(error, std::generic_category(), "finishing a call that had succeeded");
    return 0;
}

// Returns the errno of the first host call that fails, with all that was done noted in the transaction.
int Window::carry_out_all(const std::vector<remap::Step>& steps) {
    // The steps at the end that only destroy are made directly, when everything else has worked.
    size_t undoable = steps.size();
    while (undoable > 0 && destroys(steps[undoable - 1])) --undoable;
    for (size_t i = 0; i < undoable; ++i)
        if (int error = carry_out_one(steps[i])) return error;
    // A failure of the first of them leaves its memory as it was, so that everything can still be undone.
    if (undoable < steps.size())
        if (int error = destroy(steps[undoable])) return error;
    // Nothing may fail from here on.
    calls_.cancel_failure();
    for (size_t i = undoable + 1; i < steps.size(); ++i)
        if (int error = destroy(steps[i]))
            throw std::system_error(error, std::generic_category(), "giving back memory");
    return 0;
}

int Window::carry_out_one(const remap::Step& step) {
    try {
        return std::visit([&](const auto& which) { return carry_out(which); }, step);
    } catch (const std::bad_alloc&) {
        return ENOMEM;
    }
}

void Window::undo_all() {
    calls_.cancel_failure();
    for (; !transaction_.undo.empty(); transaction_.undo.pop_back())
        if (int error = perform(transaction_.undo.back()))
            throw std::system_error(error, std::generic_category(), "undoing a call whose host calls failed");
}

int Window::perform(const HostAction& action) {
    switch (action.kind) {
        case HostAction::Kind::move:
            return move_memory(action.at, action.to, action.size);
        case HostAction::Kind::close:
            return close(action.at, action.size);
        case HostAction::Kind::protect:
            return calls_.protect(action.at, action.size, action.prot);
        case HostAction::Kind::view:
            return calls_.map(action.at, action.size, action.prot, MAP_SHARED | MAP_FIXED, object_.fd(),
                              action.offset);
        case HostAction::Kind::punch_hole:
            return calls_.punch_hole(object_.fd(), action.offset, action.size);
        case HostAction::Kind::drop:
            return munmap(action.at, action.size) != 0 ? errno : 0;
    }
    return EINVAL;
}

// ---- the steps: each notes how to undo it, and returns the errno of a host call that failed ----

int Window::carry_out(const step::Map& step) {
    if (int error = open_slots(step.range)) return error;
    uint64_t size = step.range.size().bytes;
    // The guest, or a copy, may have put something into new pages of the object by then.
    if (step.memory.kind == MemoryKind::object)
        undo({.kind = HostAction::Kind::punch_hole, .size = size, .offset = step.memory.offset.value});
    undo({.kind = HostAction::Kind::close, .at = host(step.range.start()), .size = size});
    if (step.memory.kind == MemoryKind::anon) return map_anonymous(step.range, step.prot);
    return map_object(step.range, step.memory, host_prot(step.prot));
}

int Window::carry_out(const step::View& step) {
    if (int error = open_slots(step.range)) return error;
    undo({.kind = HostAction::Kind::close, .at = host(step.range.start()), .size = step.range.size().bytes});
    return map_object(step.range, step.memory, host_prot(step.prot));
}

// Kept in the mirror until the call has succeeded.
int Window::carry_out(const step::Unmap& step) {
    if (int error = displace(step.range)) return error;
    return close_vacated(step.range);
}

int Window::carry_out(const step::Move& step) {
    Range from = step.from, to = Range::of(step.to, step.from.size());
    uint64_t size = from.size().bytes;
    if (int error = open_slots(to)) return error;
    std::byte *start = host(from.start()), *target = host(to.start());
    // mremap unmaps its target before it can fail.
    Range fresh = without(to, from);
    undo({.kind = HostAction::Kind::close, .at = host(fresh.start()), .size = fresh.size().bytes});
    if (from.overlaps(to)) {
        if (int error = move_undoably(start, mirror(from.start()), size)) return error;
        start = mirror(from.start());
    }
    if (int error = move_undoably(start, target, size)) return error;
    return close_vacated(without(from, to));
}

int Window::carry_out(const step::Exchange& step) {
    std::byte *a = host(step.a.start()), *b = host(step.b.start()), *aside = mirror(step.a.start());
    for (auto [from, to] : {std::pair{a, aside}, std::pair{b, a}, std::pair{aside, b}})
        if (int error = move_undoably(from, to, step.a.size().bytes)) return error;
    return 0;
}

int Window::carry_out(const step::Protect& step) {
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
int Window::carry_out(const step::Promote& step) {
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
    if (int error = calls_.copy_to_file(aside, object_.fd(), step.offset.value, size)) return error;
    allow_writing_at_end(step.range, prot);
    return map_object(step.range, {MemoryKind::object, step.offset}, prot & PROT_READ);
}

// As with Promote. What the range had mapped before is a view of the same pages.
int Window::carry_out(const step::Privatize& step) {
    int prot = host_prot(step.prot);
    undo({.kind = HostAction::Kind::view,
          .at = host(step.range.start()),
          .size = step.range.size().bytes,
          .prot = prot,
          .offset = step.memory.offset.value});
    allow_writing_at_end(step.range, prot);
    return map_object(step.range, step.memory, prot & PROT_READ);
}

int Window::carry_out(const step::Copy& step) {
    return calls_.copy_from_file(object_.fd(), step.from.start().value, host(step.to),
                                 step.from.size().bytes);
}

int Window::carry_out(const step::Populate& step) {
    if (step.prot == remap::no_access) return 0;
    int advice = step.prot.allows(remap::writable) ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    return calls_.advise(host(step.range.start()), step.range.size().bytes, advice);
}

// In the middle of a batch: the old pages wait in the mirror.
int Window::carry_out(const step::Discard& step) {
    if (int error = displace(step.range)) return error;
    return map_anonymous(step.range, step.prot);
}

int Window::carry_out(const step::Free& step) {
    transaction_.finish.push_back({.kind = HostAction::Kind::punch_hole,
                                   .size = step.pages.size().bytes,
                                   .offset = step.pages.start().value});
    return 0;
}

// The direct form of what cannot be undone.
int Window::destroy(const remap::Step& any) {
    if (auto* unmap = std::get_if<step::Unmap>(&any))
        return close(host(unmap->range.start()), unmap->range.size().bytes);
    if (auto* discard = std::get_if<step::Discard>(&any))
        return calls_.advise(host(discard->range.start()), discard->range.size().bytes, MADV_DONTNEED);
    const auto& pages = std::get<step::Free>(any).pages;
    return calls_.punch_hole(object_.fd(), pages.start().value, pages.size().bytes);
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
        if (int error = calls_.about_to_set_memslot()) return error;
        Gpa start = aperture_.start().advanced(Size{number * chunk.bytes});
        uint64_t size = std::min(chunk.bytes, aperture_.end().above(start).bytes);
        try {
            vm_.set_memory(static_cast<uint32_t>(number) + 1, start.value, size, host(start), 0);
        } catch (const std::system_error& error) {
            return error.code().value();
        }
        open_.insert(number);
    }
    return 0;
}

int Window::map_anonymous(const Range& range, Prot prot) {
    std::byte* at = host(range.start());
    uint64_t size = range.size().bytes;
    if (int error = calls_.map(at, size, host_prot(prot), closed_flags | MAP_FIXED, -1, 0)) return error;
    // Small ranges too: neighbours grow together. A kernel without huge pages says EINVAL.
    int error = calls_.advise(at, size, MADV_HUGEPAGE);
    return error == EINVAL ? 0 : error;
}

void Window::allow_writing_at_end(const Range& range, int prot) {
    if (!(prot & PROT_WRITE)) return;
    transaction_.finish.push_back({.kind = HostAction::Kind::protect,
                                   .at = host(range.start()),
                                   .size = range.size().bytes,
                                   .prot = prot});
}

void Window::undo(const HostAction& action) {
    transaction_.undo.push_back(action);
}

int Window::map_object(const Range& range, Memory memory, int prot) {
    int sharing = memory.kind == MemoryKind::cow ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
    return calls_.map(host(range.start()), range.size().bytes, prot, sharing | MAP_FIXED, object_.fd(),
                      memory.offset.value);
}

// Replaces whatever the window has there by nothing.
int Window::close(std::byte* at, uint64_t size) {
    return calls_.map(at, size, PROT_NONE, closed_flags | MAP_FIXED, -1, 0);
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
    transaction_.finish.push_back({.kind = HostAction::Kind::drop, .at = aside, .size = size});
    return 0;
}

int Window::move_undoably(std::byte* from, std::byte* to, uint64_t size) {
    if (int error = move_memory(from, to, size)) return error;
    undo({.kind = HostAction::Kind::move, .at = to, .to = from, .size = size});
    return 0;
}

// All of it or, on failure, nothing. One mremap where the kernel takes several mappings at once
// (Linux 6.17) or the memory is one mapping, as it mostly is.
int Window::move_memory(std::byte* from, std::byte* to, uint64_t size) {
    int error = calls_.move(from, to, size);
    return error == EFAULT ? move_by_mapping(from, to, size) : error;
}

namespace {

// The mappings of this process inside [start, start + size), as addresses.
std::vector<std::pair<uint64_t, uint64_t>> host_mappings(const std::byte* start, uint64_t size) {
    uint64_t low = reinterpret_cast<uint64_t>(start), high = low + size;
    std::vector<std::pair<uint64_t, uint64_t>> found;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        std::istringstream fields(line);
        uint64_t begin = 0, end = 0;
        char dash = 0;
        fields >> std::hex >> begin >> dash >> end;
        if (end > low && begin < high) found.emplace_back(std::max(begin, low), std::min(end, high));
    }
    return found;
}

}  // namespace

int Window::move_by_mapping(std::byte* from, std::byte* to, uint64_t size) {
    auto pieces = host_mappings(from, size);
    auto at = [](std::byte* base, uint64_t address, std::byte* origin) {
        return base + (address - reinterpret_cast<uint64_t>(origin));
    };
    for (size_t done = 0; done < pieces.size(); ++done) {
        auto [begin, end] = pieces[done];
        int error = calls_.move(at(from, begin, from), at(to, begin, from), end - begin);
        if (error == 0) continue;
        calls_.cancel_failure();
        while (done-- > 0) {
            auto [back_begin, back_end] = pieces[done];
            if (int lost =
                    calls_.move(at(to, back_begin, from), at(from, back_begin, from), back_end - back_begin))
                throw std::system_error(lost, std::generic_category(), "moving back part of a range");
        }
        return error;
    }
    return 0;
}

uint64_t Window::anonymous_bytes() const {
    uint64_t low = reinterpret_cast<uint64_t>(reservation_.window());
    uint64_t high = low + 2 * reservation_.size();
    uint64_t kib = 0;
    bool inside = false;
    std::ifstream smaps("/proc/self/smaps");
    for (std::string line; std::getline(smaps, line);) {
        uint64_t begin = 0, end = 0, value = 0;
        if (sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2)
            inside = begin >= low && end <= high;
        else if (inside && sscanf(line.c_str(), "Anonymous: %lu kB", &value) == 1)
            kib += value;
    }
    return kib * 1024;
}

}  // namespace gpremap
