#include "vmm/bench/host_memory.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "vmm/hostmemory/host_calls.h"
#include "vmm/hostmemory/hugetlb.h"

namespace gpremap {
namespace {

using Clock = std::chrono::steady_clock;
constexpr uint64_t gib1 = 1ull << 30;
constexpr uint64_t page = 4096;
constexpr int closed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

void check(bool succeeded, const char* attempted) {
    if (!succeeded) throw std::system_error(errno, std::generic_category(), attempted);
}

uint64_t ns_since(Clock::time_point begin) {
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count());
}

std::optional<BackingObject> object_for(Backing backing) {
    if (traits_of(backing).begins_anonymous) return std::nullopt;
    return BackingObject(backing);
}

}  // namespace

// Room for two places, each at a multiple of 1 GiB.
HostMemory::HostMemory(Backing backing, uint64_t size)
    : size_(size),
      distance_((size + gib1 - 1) / gib1 * gib1),
      reserved_(mmap(nullptr, 2 * distance_ + gib1, PROT_NONE, closed, -1, 0)),
      object_(object_for(backing)) {
    check(reserved_ != MAP_FAILED, "mmap of the bench's reservation");
    uintptr_t aligned = (reinterpret_cast<uintptr_t>(reserved_) + gib1 - 1) / gib1 * gib1;
    here_ = reinterpret_cast<std::byte*>(aligned);
    there_ = here_ + distance_;
    if (is_hugetlb())
        map_pages_of_hugetlb();
    else
        map_pages();
    touch();
}

void HostMemory::map_pages() {
    void* made = mmap(here_, size_, PROT_READ | PROT_WRITE, MAP_FIXED | (object_ ? MAP_SHARED : closed),
                      object_ ? object_->fd() : -1, 0);
    check(made == here_, "mmap of the bench's memory");
    // The kernel does not know the advice where it has no transparent huge pages.
    check(madvise(here_, size_, MADV_HUGEPAGE) == 0 || errno == EINVAL, "madvise MADV_HUGEPAGE");
}

void HostMemory::map_pages_of_hugetlb() {
    HostCalls calls;
    errno =
        map_hugetlb(calls, here_, size_, object_->fd(), 0, PROT_READ | PROT_WRITE, object_->largest_page());
    check(errno == 0, "mmap of the bench's huge pages");
}

bool HostMemory::is_hugetlb() const {
    return object_ && object_->pages() == BackingObject::Pages::hugetlb;
}

HostMemory::~HostMemory() {
    munmap(reserved_, 2 * distance_ + gib1);
}

uint64_t HostMemory::move() {
    const uint64_t mapping =
        is_hugetlb() ? std::min(size_, largest_hugetlb_mapping(object_->largest_page())) : size_;
    bool moved = true;
    auto begin = Clock::now();
    for (uint64_t done = 0; done < size_ && moved; done += mapping) {
        uint64_t bytes = std::min(mapping, size_ - done);
        std::byte* to = there_ + done;
        moved = mremap(here_ + done, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to;
    }
    bool filled = moved && mmap(here_, size_, PROT_NONE, closed | MAP_FIXED_NOREPLACE, -1, 0) == here_;
    uint64_t ns = ns_since(begin);
    check(filled, "mremap and mmap of the bench's memory");
    std::swap(here_, there_);
    return ns;
}

uint64_t HostMemory::give_back() {
    auto begin = Clock::now();
    int result = !object_ ? madvise(here_, size_, MADV_DONTNEED)
                          : fallocate(object_->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                                      static_cast<off_t>(size_));
    uint64_t ns = ns_since(begin);
    check(result == 0, "giving back the bench's memory");
    touch();
    return ns;
}

void HostMemory::touch() {
    for (uint64_t offset = 0; offset < size_; offset += page)
        *reinterpret_cast<volatile unsigned char*>(here_ + offset) = 1;
}

}  // namespace gpremap
