#include "vmm/hostmemory/reservation.h"

#include <sys/mman.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "vmm/base/errors.h"

namespace gpremap {
namespace {

constexpr uint64_t tib = uint64_t{1} << 40;
constexpr uint64_t unit = uint64_t{1} << 30;
constexpr uint64_t lowest = 16 * tib;
constexpr uint64_t highest = 80 * tib;

constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

std::mutex mutex;
std::map<uint64_t, uint64_t> taken;  // start -> end, of this process's reservations with their annexes

std::byte* pointer_to(uint64_t address) {
    return reinterpret_cast<std::byte*>(address);
}

// Takes [at, at + size), if nothing is mapped there.
bool take(uint64_t at, uint64_t size) {
    void* got = mmap(pointer_to(at), size, PROT_NONE, flags | MAP_FIXED_NOREPLACE, -1, 0);
    return got == pointer_to(at);
}

// Whether nothing is mapped there. Never more is taken than the window: the process may be limited.
bool is_free(uint64_t at, uint64_t size) {
    return take(at, size) && munmap(pointer_to(at), size) == 0;
}

// Where the kernel puts what may lie anywhere, and what comes next beside it, upwards or downwards: usually far
// above `highest`, but without a limit to the stack at a sixth or a third of the address space.
uint64_t kernels_choice() {
    void* found = mmap(nullptr, unit, PROT_NONE, flags, -1, 0);
    if (found == MAP_FAILED) return highest;
    munmap(found, unit);
    return reinterpret_cast<uint64_t>(found);
}

// To both sides of it: room for all else that this process maps.
constexpr uint64_t kernels_room = tib;

std::byte* reserve(uint64_t window_size) {
    std::lock_guard lock(mutex);
    const uint64_t choice = kernels_choice();
    uint64_t at = lowest;
    for (auto place = taken.begin(); at + 2 * window_size <= highest;) {
        const uint64_t end = at + 2 * window_size;
        if (place != taken.end() && place->first < end) {
            at = std::max(at, place->second);
            ++place;
        } else if (at < choice + kernels_room && end + kernels_room > choice) {
            at = (choice + kernels_room) / unit * unit + unit;
        } else if (is_free(at + window_size, window_size) && take(at, window_size)) {
            taken[at] = end;
            return pointer_to(at);
        } else {
            at += unit;  // something of somebody else's is there
        }
    }
    throw HostLacks(
        "no " + std::to_string(window_size >> 30) +
        " GiB of host address space for the aperture, twice: make vm.aperture.size smaller, or set a "
        "limit to the stack (ulimit -s 8192), without which the kernel puts libraries there");
}

}  // namespace

Reservation::Reservation(uint64_t size) : size_((size + unit - 1) / unit * unit), base_(reserve(size_)) {}

Reservation::~Reservation() {
    std::lock_guard lock(mutex);
    munmap(base_, 2 * size_);
    taken.erase(reinterpret_cast<uint64_t>(base_));
}

}  // namespace gpremap
