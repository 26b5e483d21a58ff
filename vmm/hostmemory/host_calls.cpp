#include "vmm/hostmemory/host_calls.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

constexpr uint64_t page_size = 4096;
constexpr uint64_t pages_at_once = 4096;  // so that what is known of pages stays small

// Of an entry of /proc/self/pagemap.
constexpr uint64_t pagemap_of_file = uint64_t{1} << 61;  // or of shared memory; else the mapping's own
constexpr uint64_t pagemap_swapped = uint64_t{1} << 62;
constexpr uint64_t pagemap_present = uint64_t{1} << 63;

}  // namespace

HostCalls::HostCalls()
    : pagemap_(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)),
      maps_(open("/proc/self/maps", O_RDONLY | O_CLOEXEC)) {}

// Each call asks, so each is counted here.
bool HostCalls::fails_now() {
    ++work_;
    if (!fail_in_) return false;
    if (*fail_in_ > 0) {
        --*fail_in_;
        return false;
    }
    fail_in_.reset();
    return true;
}

int HostCalls::map(std::byte* at, uint64_t size, int prot, int flags, int fd, uint64_t offset) {
    if (fails_now()) return ENOMEM;
    ++counts_.mmap;
    void* got = mmap(at, size, prot, flags, fd, static_cast<off_t>(offset));
    return got == MAP_FAILED ? errno : 0;
}

int HostCalls::move(std::byte* from, std::byte* to, uint64_t size) {
    if (fails_now()) return ENOMEM;
    ++counts_.mremap;
    return mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED ? errno : 0;
}

int HostCalls::move_and_leave(std::byte* from, std::byte* to, uint64_t size) {
    if (fails_now()) return ENOMEM;
    ++counts_.mremap;
    int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    return mremap(from, size, size, flags, to) == MAP_FAILED ? errno : 0;
}

int HostCalls::protect(std::byte* at, uint64_t size, int prot) {
    if (fails_now()) return ENOMEM;
    ++counts_.mprotect;
    return mprotect(at, size, prot) != 0 ? errno : 0;
}

int HostCalls::advise(std::byte* at, uint64_t size, int advice) {
    if (fails_now()) return ENOMEM;
    ++counts_.madvise;
    return madvise(at, size, advice) != 0 ? errno : 0;
}

int HostCalls::close(std::byte* at, uint64_t size) {
    return map(at, size, PROT_NONE, closed_flags | MAP_FIXED, -1, 0);
}

int HostCalls::ask_for_huge_pages(std::byte* at, uint64_t size) {
    int error = advise(at, size, MADV_HUGEPAGE);
    return error == EINVAL ? 0 : error;
}

// Asking for pages to be reclaimed soon splits a huge page of which only a part is asked for.
void HostCalls::split_at_ends(std::byte* at, uint64_t size, HugePages begin) {
    constexpr uint64_t huge_page = uint64_t{2} << 20;
    uint64_t head = -reinterpret_cast<uint64_t>(at) % huge_page;
    uint64_t tail = reinterpret_cast<uint64_t>(at + size) % huge_page;
    if (begin == HugePages::shifted) head = tail = huge_page;
    auto split = [&](std::byte* end, uint64_t bytes) {
        if (bytes == 0) return;
        ++work_;
        ++counts_.madvise;
        (void)madvise(end, bytes, MADV_COLD);
    };
    if (head + tail >= size) return split(at, head + tail > 0 ? size : 0);
    split(at, head);
    split(at + size - tail, tail);
}

int HostCalls::allocate(int fd, int mode, uint64_t offset, uint64_t size) {
    ++counts_.fallocate;
    mode |= FALLOC_FL_KEEP_SIZE;
    return fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(size)) != 0 ? errno : 0;
}

int HostCalls::punch_hole(int fd, uint64_t offset, uint64_t size) {
    if (fails_now()) return ENOMEM;
    return allocate(fd, FALLOC_FL_PUNCH_HOLE, offset, size);
}

int HostCalls::make_hugetlb_pages(int fd, uint64_t offset, uint64_t size) {
    if (fails_now()) return ENOMEM;
    int error;
    while ((error = allocate(fd, 0, offset, size)) == EINTR) {
    }
    return error;
}

// Mapping reserves huge pages, and only a page that exists takes its reservation along when it goes: what was
// never touched would stay reserved as long as the object lives. So it is made to exist first, page by page,
// for where nothing is reserved that may fail, and nothing is to be given back.
int HostCalls::punch_hole_in_hugetlb_file(int fd, uint64_t offset, uint64_t size, uint64_t huge_page) {
    if (fails_now()) return ENOMEM;
    for (uint64_t at = offset; at < offset + size; at += huge_page)
        while (allocate(fd, 0, at, huge_page) == EINTR) {
        }
    return allocate(fd, FALLOC_FL_PUNCH_HOLE, offset, size);
}

namespace {

// Moves `size` bytes by calls of `transfer(done, left)`, which is pread or pwrite. Returns 0 or the errno.
template <class Transfer>
int transfer_all(uint64_t size, Transfer&& transfer) {
    for (uint64_t done = 0; done < size;) {
        ssize_t moved = transfer(done, size - done);
        if (moved < 0 && errno == EINTR) continue;
        if (moved <= 0) return moved < 0 ? errno : EIO;
        done += static_cast<uint64_t>(moved);
    }
    return 0;
}

int write_all(int fd, const std::byte* from, uint64_t size, uint64_t offset) {
    return transfer_all(size, [&](uint64_t done, uint64_t left) {
        return pwrite(fd, from + done, left, static_cast<off_t>(offset + done));
    });
}

}  // namespace

// The kernel gives whole lines, as many as fit into a page.
void HostCalls::for_each_line_of_maps(const std::function<bool(const char* line)>& look) const {
    char text[page_size + 1];
    off_t at = 0;
    for (ssize_t got; (got = pread(maps_.get(), text, page_size, at)) > 0; at += got) {
        text[got] = 0;
        for (char* line = text; char* end = std::strchr(line, '\n'); line = end + 1) {
            *end = 0;
            if (!look(line)) return;
        }
    }
}

// The kernel's entries for `pages` pages from `at` on (Documentation/admin-guide/mm/pagemap.rst); none where it does not
// say.
std::vector<uint64_t> HostCalls::pagemap_of(const std::byte* at, uint64_t pages) const {
    std::vector<uint64_t> entries(pages);
    const uint64_t place = reinterpret_cast<uint64_t>(at) / page_size * sizeof entries[0];
    int error = transfer_all(pages * sizeof entries[0], [&](uint64_t done, uint64_t left) {
        return pread(pagemap_.get(), reinterpret_cast<std::byte*>(entries.data()) + done, left,
                     static_cast<off_t>(place + done));
    });
    if (error != 0) entries.clear();
    return entries;
}

// Of `pages` pages from `at` on: those that hold something. mincore knows what a file has for a private
// mapping of it, touched or not, but not what is only in swap; pagemap knows that of what is private. Without
// a pagemap they all do. Returns 0 or the errno.
int HostCalls::find_pages_in_use(std::byte* at, uint64_t pages, std::vector<unsigned char>& in_use) const {
    in_use.assign(pages, 1);
    const std::vector<uint64_t> entries = pagemap_of(at, pages);
    if (entries.empty()) return 0;
    if (mincore(at, pages * page_size, in_use.data()) != 0) return errno;
    for (uint64_t page = 0; page < pages; ++page)
        in_use[page] = (in_use[page] & 1) || (entries[page] & pagemap_swapped);
    return 0;
}

namespace {

// Adds the pages that the file has from `offset` on, in memory or in swap. Returns 0 or the errno.
int add_pages_of_file(int fd, uint64_t offset, std::vector<unsigned char>& in_use) {
    const auto start = static_cast<off_t>(offset),
               end = static_cast<off_t>(offset + in_use.size() * page_size);
    for (off_t at = start; at < end;) {
        const off_t data = lseek(fd, at, SEEK_DATA);
        if (data < 0) return errno == ENXIO ? 0 : errno;
        if (data >= end) return 0;
        const off_t hole = lseek(fd, data, SEEK_HOLE);
        if (hole < 0) return errno;
        at = std::min(hole, end);
        auto page_of = [&](off_t place) {
            return in_use.begin() + (place - start) / static_cast<off_t>(page_size);
        };
        std::fill(page_of(data), page_of(at), 1);
    }
    return 0;
}

}  // namespace

// Calls `copy(at, bytes)` for each run of pages that are the mapping's own, present or in swap: `at` bytes from the
// start. Where the kernel does not say, they all are. Returns 0, or the errno of the first that failed.
template <class Copy>
int HostCalls::for_each_private_run(std::byte* start, uint64_t size, Copy&& copy) const {
    auto is_private = [](uint64_t entry) {
        return (entry & (pagemap_present | pagemap_swapped)) && !(entry & pagemap_of_file);
    };
    for (uint64_t done = 0; done < size; done += pages_at_once * page_size) {
        const uint64_t pages = std::min(pages_at_once, (size - done) / page_size);
        std::vector<uint64_t> entries = pagemap_of(start + done, pages);
        if (entries.empty()) entries.assign(pages, pagemap_present);
        for (uint64_t page = 0; page < pages; ++page) {
            uint64_t end = page;
            while (end < pages && is_private(entries[end])) ++end;
            if (end == page) continue;
            if (int error = copy(done + page * page_size, (end - page) * page_size)) return error;
            page = end;
        }
    }
    return 0;
}

// Calls `copy(at, bytes)` for each run of pages that hold something: `at` bytes from the start. Returns 0, or the errno of the first that failed.
template <class Copy>
int HostCalls::for_each_run_in_use(std::byte* start, uint64_t size, int fd, std::optional<uint64_t> shown,
                                   Copy&& copy) const {
    std::vector<unsigned char> in_use;
    for (uint64_t done = 0; done < size; done += pages_at_once * page_size) {
        uint64_t pages = std::min(pages_at_once, (size - done) / page_size);
        if (int error = find_pages_in_use(start + done, pages, in_use)) return error;
        if (shown)
            if (int error = add_pages_of_file(fd, *shown + done, in_use)) return error;
        for (uint64_t page = 0; page < pages; ++page) {
            uint64_t end = page;
            while (end < pages && in_use[end]) ++end;
            if (end == page) continue;
            if (int error = copy(done + page * page_size, (end - page) * page_size)) return error;
            page = end;
        }
    }
    return 0;
}

namespace {

// All of [offset, offset + size) of a file, mapped for a while.
class View {
  public:
    View(int fd, uint64_t offset, uint64_t size)
        : at_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset))),
          size_(size) {}
    ~View() {
        if (valid()) munmap(at_, size_);
    }
    View(const View&) = delete;
    View& operator=(const View&) = delete;

    bool valid() const { return at_ != MAP_FAILED; }  // else errno says why
    std::byte* at() const { return static_cast<std::byte*>(at_); }

  private:
    void* at_;
    uint64_t size_;
};

}  // namespace

int HostCalls::copy_to_file(std::byte* from, int fd, uint64_t offset, uint64_t size, Through through,
                            std::optional<uint64_t> shown) {
    if (fails_now()) return ENOMEM;
    ++counts_.copies;
    if (through == Through::system_call)
        return for_each_run_in_use(from, size, fd, shown, [&](uint64_t at, uint64_t bytes) {
            counts_.copied_bytes += bytes;
            return write_all(fd, from + at, bytes, offset + at);
        });
    View view(fd, offset, size);
    if (!view.valid()) return errno;
    (void)madvise(view.at(), size, MADV_HUGEPAGE);  // without them the copy is the same
    return for_each_run_in_use(from, size, fd, shown, [&](uint64_t at, uint64_t bytes) {
        // A host without memory says so here; writing would end the process.
        if (madvise(view.at() + at, bytes, MADV_POPULATE_WRITE) != 0) return errno;
        counts_.copied_bytes += bytes;
        std::memcpy(view.at() + at, from + at, bytes);
        return 0;
    });
}

int HostCalls::copy_to_hugetlb_file(const std::byte* from, int fd, uint64_t offset, uint64_t size) {
    if (fails_now()) return ENOMEM;
    ++counts_.copies;
    View view(fd, offset, size);
    if (!view.valid()) return errno;
    counts_.copied_bytes += size;
    std::memcpy(view.at(), from, size);
    return 0;
}

int HostCalls::write_private_pages(std::byte* from, uint64_t size, int fd, uint64_t offset) {
    if (fails_now()) return ENOMEM;
    ++counts_.copies;
    return for_each_private_run(from, size, [&](uint64_t at, uint64_t bytes) {
        counts_.copied_bytes += bytes;
        return write_all(fd, from + at, bytes, offset + at);
    });
}

int HostCalls::copy_private_pages(std::byte* from, std::byte* to, uint64_t size) {
    if (fails_now()) return ENOMEM;
    ++counts_.copies;
    return for_each_private_run(from, size, [&](uint64_t at, uint64_t bytes) {
        // A host without memory says so here; writing would end the process.
        if (madvise(to + at, bytes, MADV_POPULATE_WRITE) != 0) return errno;
        counts_.copied_bytes += bytes;
        std::memcpy(to + at, from + at, bytes);
        return 0;
    });
}

int HostCalls::zero_hugetlb_file(int fd, uint64_t offset, uint64_t size) {
    if (fails_now()) return ENOMEM;
    View view(fd, offset, size);
    if (!view.valid()) return errno;
    std::memset(view.at(), 0, size);
    return 0;
}

int HostCalls::copy_from_file(int fd, uint64_t offset, std::byte* to, uint64_t size) {
    if (fails_now()) return ENOMEM;
    ++counts_.copies;
    const auto start = static_cast<off_t>(offset), end = static_cast<off_t>(offset + size);
    for (off_t at = start; at < end;) {
        const off_t data = lseek(fd, at, SEEK_DATA);
        if (data >= end || (data < 0 && errno == ENXIO)) break;
        const off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
        if (hole < 0) return errno;
        at = std::min(hole, end);
        int error = transfer_all(static_cast<uint64_t>(at - data), [&](uint64_t done, uint64_t left) {
            return pread(fd, to + (data - start) + done, left, data + static_cast<off_t>(done));
        });
        if (error != 0) return error;
        counts_.copied_bytes += static_cast<uint64_t>(at - data);
    }
    return 0;
}

int HostCalls::set_memslot(Vm& vm, uint32_t slot, uint64_t gpa, uint64_t size, std::byte* host) {
    constexpr uint64_t as_calls_of_memory = 8;  // KVM waits for all vCPUs' threads to have seen it
    if (fails_now()) return ENOMEM;
    add_work(as_calls_of_memory - 1);
    ++counts_.memslot_ioctls;
    try {
        vm.set_memory(slot, gpa, size, host, 0);
    } catch (const std::system_error& error) {
        return error.code().value();
    }
    return 0;
}

}  // namespace gpremap
