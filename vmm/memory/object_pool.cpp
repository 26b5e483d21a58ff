#include "vmm/memory/object_pool.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace gpremap {
namespace {

using remap::ObjectRange;
using remap::Offset;
using remap::Size;

ObjectRange left_in(const Lane& lane) {
    return ObjectRange::between(Offset{lane.offset + lane.taken}, Offset{lane.offset + lane.size});
}

// Bytes of the range that a file of small or transparent pages has.
uint64_t data_in(int fd, const ObjectRange& range) {
    const auto end = static_cast<off_t>(range.end().value);
    uint64_t found = 0;
    for (auto at = static_cast<off_t>(range.start().value); at < end;) {
        const off_t data = lseek(fd, at, SEEK_DATA);
        if (data < 0 || data >= end) break;
        at = std::min(std::max(lseek(fd, data, SEEK_HOLE), data), end);
        found += static_cast<uint64_t>(at - data);
    }
    return found;
}

}  // namespace

ObjectPool::ObjectPool(const BackingObject& object, uint64_t capacity, uint64_t unit, PoolCleaner cleaner)
    : Pool(capacity, unit), object_(object), next_offset_(BackingObject::offsets_of_store) {
    lanes_.begin_full([&](Lane& lane) {
        if (fetch(lane) && madvise(lane.at, capacity, MADV_POPULATE_WRITE) == 0) return;
        throw_no_memory(errno);
    });
    lanes_.start(cleaner);
}

remap::Store::Offer ObjectPool::offer() {
    lanes_.release_empty();
    remap::Store::Offer offer{{}, Size{lanes_.unit()}, Size{lanes_.room()}};
    lanes_.visit_ready([&](const Lane& lane) {
        offer.ready.push_back(ObjectRange::of(left_in(lane).start(), Size{lanes_.ready_in(lane)}));
    });
    return offer;
}

// Every lane of which some was offered begins there, or behind another one that was.
uint64_t ObjectPool::take(const ObjectRange& pages) {
    lanes_.note_call();
    uint64_t done = 0;
    lanes_.visit_ready([&](Lane& lane) {
        const auto taken = pages.intersection(left_in(lane));
        if (!taken) return;
        done += taken->size().bytes;
        lanes_.take_front(lane, taken->size().bytes);
    });
    counts_.taken += done;
    return done;
}

int ObjectPool::free(HostCalls& calls, const ObjectRange& pages) {
    const uint64_t unit = lanes_.unit();
    const uint64_t start = (pages.start().value + unit - 1) / unit * unit;
    const uint64_t kept =
        pages.end().value < start + unit ? 0 : keep(calls, start, pages.end().value - start);
    const ObjectRange whole = ObjectRange::of(pages.start(), pages.size());
    if (kept == 0) return object_.punch_hole(calls, whole.start().value, whole.size().bytes);
    const uint64_t before = start - pages.start().value, behind = pages.end().value - start - kept;
    if (before > 0)
        if (int error = object_.punch_hole(calls, pages.start().value, before)) {
            forget(start, kept);
            return error;
        }
    if (behind == 0) return 0;
    auto punch = [&] { return object_.punch_hole(calls, start + kept, behind); };
    const int error = before > 0 ? calls.insist(punch) : punch();
    if (error == 0) return 0;
    if (before > 0)  // which has gone
        throw std::system_error(error, std::generic_category(), "giving back pages of the object");
    forget(start, kept);
    return error;
}

// As much of it from its start on as there is room for. Returns how much. It allocates nothing.
uint64_t ObjectPool::keep(HostCalls& calls, uint64_t start, uint64_t size) {
    lanes_.release_empty();
    const uint64_t unit = lanes_.unit(), whole = size / unit * unit;
    const uint64_t share = std::max(whole / unit / lanes_.shares_of(whole), uint64_t{1}) * unit;
    uint64_t done = 0;
    while (done < whole) {
        const uint64_t rest = whole - done;
        Lane* lane = lanes_.hold(rest < 2 * share ? rest : share);
        if (!lane) break;
        // Pages that are promised, and were never touched, would be counted as kept and be there for nobody.
        if (object_.pages() == BackingObject::Pages::hugetlb &&
            object_.make_pages(calls, start + done, lane->size) != 0) {
            lanes_.drop(*lane);
            break;
        }
        lane->offset = start + done;
        lane->is_given = true;
        done += lane->size;
    }
    counts_.given += done;
    return done;
}

// What keep() has kept of it.
void ObjectPool::forget(uint64_t start, uint64_t size) {
    lanes_.visit_given([&](Lane& lane) {
        if (lane.offset < start || lane.offset >= start + size) return;
        counts_.given -= lane.size;
        lanes_.drop(lane);
    });
}

// Nothing has moved.
void ObjectPool::take_back(HostCalls&) {
    forget(0, UINT64_MAX);
}

uint64_t ObjectPool::resident_bytes() const {
    uint64_t bytes = 0;
    lanes_.visit_settled([&](const Lane& lane) {
        if (lane.taken >= lane.size) return;
        const ObjectRange left = left_in(lane);
        bytes += object_.pages() == BackingObject::Pages::hugetlb ? left.size().bytes
                                                                  : data_in(object_.fd(), left);
    });
    return bytes;
}

// The cleaners may be at work meanwhile.
uint64_t ObjectPool::allocated_elsewhere() const {
    constexpr int most_looks = 10;
    uint64_t kept = resident_bytes(), allocated = 0, before = ~kept;
    for (int look = 0; look < most_looks && before != kept; look++) {
        before = kept;
        allocated = object_.allocated();
        kept = resident_bytes();
    }
    return allocated - std::min(kept, allocated);
}

// In place of what the lane has had before. Huge pages of the host's pool are reserved by it.
bool ObjectPool::map(const Lane& lane) {
    const int flags = MAP_SHARED | MAP_FIXED;
    const auto offset = static_cast<off_t>(lane.offset);
    if (mmap(lane.at, lane.size, PROT_READ | PROT_WRITE, flags, object_.fd(), offset) == MAP_FAILED)
        return false;
    if (object_.pages() == BackingObject::Pages::transparent)
        (void)madvise(lane.at, lane.size, MADV_HUGEPAGE);
    return true;
}

bool ObjectPool::open(Lane& lane) {
    if (map(lane)) return true;
    constexpr int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    (void)fallocate(object_.fd(), mode, static_cast<off_t>(lane.offset), static_cast<off_t>(lane.size));
    return false;
}

// What is no huge page becomes one, if the host has one.
void ObjectPool::zero(std::byte* at) {
    if (object_.pages() == BackingObject::Pages::transparent) {
        *at = std::byte{0};  // before, it is not in the page table
        if (!is_one_huge_page(at)) (void)madvise(at, Lanes::step, MADV_REMOVE);
    }
    std::memset(at, 0, Lanes::step);
}

bool ObjectPool::fetch(Lane& lane) {
    lane.offset = next_offset_;
    if (!map(lane)) return false;
    next_offset_ += lane.size;
    return true;
}

}  // namespace gpremap
