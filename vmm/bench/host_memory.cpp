#include "vmm/bench/host_memory.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

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
    using Kind = BackingObject::Kind;
    if (backing == Backing::anon) return std::nullopt;
    return BackingObject(backing == Backing::hugetlb_2m ? Kind::hugetlb : Kind::ordinary);
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
    void* made = mmap(here_, size_, PROT_READ | PROT_WRITE, MAP_FIXED | (object_ ? MAP_SHARED : closed),
                      object_ ? object_->fd() : -1, 0);
    check(made == here_, "mmap of the bench's memory");
    // The kernel does not know the advice where it has no transparent huge pages, and for hugetlb.
    check(madvise(here_, size_, MADV_HUGEPAGE) == 0 || errno == EINVAL, "madvise MADV_HUGEPAGE");
    touch();
}

HostMemory::~HostMemory() {
    munmap(reserved_, 2 * distance_ + gib1);
}

uint64_t HostMemory::move() {
    auto begin = Clock::now();
    void* moved = mremap(here_, size_, size_, MREMAP_MAYMOVE | MREMAP_FIXED, there_);
    void* filled = mmap(here_, size_, PROT_NONE, closed | MAP_FIXED_NOREPLACE, -1, 0);
    uint64_t ns = ns_since(begin);
    check(moved == there_ && filled == here_, "mremap and mmap of the bench's memory");
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
