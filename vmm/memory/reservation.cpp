#include "vmm/memory/reservation.h"

#include <sys/mman.h>

#include <map>
#include <mutex>

#include "vmm/base/errors.h"

namespace gpremap {
namespace {

constexpr uint64_t unit = uint64_t{1} << 30;
constexpr uint64_t lowest = uint64_t{16} << 40;
constexpr uint64_t highest = uint64_t{80} << 40;

std::mutex mutex;
std::map<uint64_t, uint64_t> taken;  // start -> end, of this process's reservations with their annexes

std::byte* reserve(uint64_t window_size) {
    std::lock_guard lock(mutex);
    uint64_t at = lowest;
    for (auto place = taken.begin(); at + 2 * window_size <= highest;) {
        if (place != taken.end() && place->first < at + 2 * window_size) {
            at = place->second;
            ++place;
            continue;
        }
        auto* wanted = reinterpret_cast<std::byte*>(at);
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
        if (mmap(wanted, window_size, PROT_NONE, flags, -1, 0) == wanted) {
            taken[at] = at + 2 * window_size;
            return wanted;
        }
        at += unit;  // something of somebody else's is there
    }
    throw HostLacks("no " + std::to_string(window_size >> 30) +
                    " GiB of host address space for the aperture, twice: make vm.aperture.size smaller");
}

}  // namespace

Reservation::Reservation(uint64_t size) : size_((size + unit - 1) / unit * unit), base_(reserve(size_)) {}

Reservation::~Reservation() {
    std::lock_guard lock(mutex);
    munmap(base_, 2 * size_);
    taken.erase(reinterpret_cast<uint64_t>(base_));
}

}  // namespace gpremap
