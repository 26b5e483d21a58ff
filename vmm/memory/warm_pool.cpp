#include "vmm/memory/warm_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <system_error>

#include "remap/address.h"
#include "vmm/base/errors.h"
#include "vmm/host/resident_pages.h"

namespace gpremap {
namespace {

constexpr uint64_t huge = remap::mib2.bytes;
constexpr uint64_t gib = remap::gib1.bytes;

// As Stage2::map_anonymous does it.
int map_fresh(std::byte* at, uint64_t size) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if (mmap(at, size, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) return errno;
    if (madvise(at, size, MADV_HUGEPAGE) != 0 && errno != EINVAL) return errno;
    return 0;
}

}  // namespace

Pool::Pool(uint64_t capacity, uint64_t unit)
    : reservation_(Lanes::place_size(capacity) * Lanes::lane_count / 2),
      lanes_(capacity, unit, reservation_.window(), *this) {
    open_page_map();  // which the cleaners ask
}

void Pool::settle() {
    if (counts_.given != 0 || counts_.taken != 0) lanes_.settle();
}

// The kernel's search for a new lot of huge pages can only be worse than keeping one.
bool Pool::is_one_huge_page(const std::byte* at) {
    try {
        auto pages = resident_pages(at, huge, huge);
        return pages.size() == 1 && pages[0].page == huge && pages[0].size == huge;
    } catch (const std::exception&) {
        return false;  // this kernel does not say
    }
}

void Pool::throw_no_memory(int error) const {
    throw HostLacks("no " + std::to_string(lanes_.capacity() >> 20) + " MiB of memory for the warm pool (" +
                    strerror(error) + "): make vm.pool smaller");
}

// ---- of anonymous memory ----

WarmPool::WarmPool(uint64_t capacity, PoolCleaner cleaner) : Pool(capacity, huge) {
    lanes_.begin_full([&](const Lane& lane) {
        int error = map_fresh(lane.at, capacity);
        if (error == 0 && madvise(lane.at, capacity, MADV_POPULATE_WRITE) != 0) error = errno;
        if (error != 0) throw_no_memory(error);
    });
    lanes_.start(cleaner);
}

uint64_t WarmPool::take(HostCalls& calls, std::byte* at, uint64_t size) {
    lanes_.note_call();
    lanes_.release_empty();
    uint64_t done = 0;
    for (uint64_t wanted = size / huge * huge; done < wanted;) {
        Lane* lane = lanes_.best_for(wanted - done);
        if (!lane) break;
        uint64_t some = std::min(lanes_.ready_in(*lane), wanted - done);
        if (move_memory(calls, lane->at + lane->taken, at + done, some, Leaves::hole) != 0) break;
        lanes_.take_front(*lane, some);
        done += some;
    }
    counts_.taken += done;
    return done;
}

uint64_t WarmPool::give(HostCalls& calls, std::byte* at, uint64_t size, Leaves leaves) {
    uint64_t skipped = -reinterpret_cast<uint64_t>(at) % huge;
    if (size < skipped + huge) return 0;
    lanes_.release_empty();
    const uint64_t whole = (size - skipped) / huge * huge;
    const uint64_t share = (whole / huge / lanes_.shares_of(whole)) * huge;
    uint64_t done = 0;
    while (done < whole) {
        const uint64_t rest = whole - done;
        // The last share has what is left over.
        const uint64_t given =
            give_share(calls, at + skipped + done, rest < 2 * share ? rest : share, leaves);
        if (given == 0) break;
        done += given;
    }
    counts_.given += done;
    return done;
}

uint64_t WarmPool::give_share(HostCalls& calls, std::byte* from, uint64_t size, Leaves leaves) {
    Lane* lane = lanes_.hold(size);
    if (!lane) return 0;
    lane->origin = from;
    lane->at += reinterpret_cast<uint64_t>(from) % gib;  // congruent, so that whole page tables can be moved
    try {
        lane->is_given = move_memory(calls, from, lane->at, lane->size, leaves) == 0;
    } catch (const std::bad_alloc&) {
    }
    if (lane->is_given) return lane->size;
    lanes_.drop(*lane);
    return 0;
}

void WarmPool::take_back(HostCalls& calls) {
    lanes_.visit_given([&](Lane& lane) {
        if (int error = move_memory(calls, lane.at, lane.origin, lane.size, Leaves::hole))
            throw std::system_error(error, std::generic_category(), "taking memory back from the warm pool");
        counts_.given -= lane.size;
        lanes_.drop(lane);
    });
}

uint64_t WarmPool::resident_bytes() const {
    return anonymous_bytes(reservation_.window(), 2 * reservation_.size());
}

// The guest may have made it read-only.
bool WarmPool::open(Lane& lane) {
    if (mprotect(lane.at, lane.size, PROT_READ | PROT_WRITE) == 0) return true;
    munmap(lane.at, lane.size);
    return false;
}

// The next huge page. What is no huge page becomes one, if the host has one.
void WarmPool::zero(std::byte* at) {
    if (!is_one_huge_page(at)) (void)madvise(at, huge, MADV_DONTNEED);
    std::memset(at, 0, huge);
}

bool WarmPool::fetch(Lane& lane) {
    return map_fresh(lane.at, lane.size) == 0;
}

}  // namespace gpremap
