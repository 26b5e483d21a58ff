// The system calls that change host memory, in one place: counted, and made to fail on request, so that a
// test can prove for each of them that its failure leaves everything as it was.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "vmm/hostmemory/ballast.h"
#include "vmm/kvm/kvm.h"

namespace gpremap {

class Vm;

// Of address space that is taken, with nothing in it.
inline constexpr int closed_flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

// System calls made on behalf of one call, by kind.
struct SyscallCounts {
    uint64_t memslot_ioctls = 0;
    uint64_t mmap = 0;
    uint64_t mremap = 0;
    uint64_t mprotect = 0;
    uint64_t madvise = 0;
    uint64_t fallocate = 0;
    uint64_t copies = 0;        // of memory, such as ranges promoted from anonymous memory to memfd
    uint64_t copied_bytes = 0;  // by them

    uint64_t total() const { return memslot_ioctls + mmap + mremap + mprotect + madvise + fallocate; }
};

class HostCalls {
  public:
    HostCalls();

    // Each returns 0 or the errno. Addresses and sizes in bytes, page aligned.
    int map(std::byte* at, uint64_t size, int prot, int flags, int fd, uint64_t offset);
    int move(std::byte* from, std::byte* to, uint64_t size);
    // As move(), but `from` stays mapped, with nothing in it.
    int move_and_leave(std::byte* from, std::byte* to, uint64_t size);
    int protect(std::byte* at, uint64_t size, int prot);
    int advise(std::byte* at, uint64_t size, int advice);
    // Replaces whatever is there by what nobody can access.
    int close(std::byte* at, uint64_t size);
    // Small ranges ask, too: neighbours grow together. A kernel without huge pages is no failure.
    int ask_for_huge_pages(std::byte* at, uint64_t size);
    // Of memory that goes while its neighbours stay: splits the huge pages across its ends. They would keep all of
    // their memory until the host is short of some. `shifted`: they may begin at any page, and not at their own size.
    // About 150 us for each that is split. What cannot be split is no failure.
    enum class HugePages { at_their_size, shifted };
    void split_at_ends(std::byte* at, uint64_t size, HugePages begin);
    int punch_hole(int fd, uint64_t offset, uint64_t size);
    // The same for a file of hugetlb with pages of `huge_page` bytes: their reservations go, too.
    int punch_hole_in_hugetlb_file(int fd, uint64_t offset, uint64_t size, uint64_t huge_page);
    // Makes pages of such a file exist.
    int make_hugetlb_pages(int fd, uint64_t offset, uint64_t size);
    // Copies the pages of `from` that hold something into the file, which gets small pages for it, or
    // (huge_mapping) transparent huge ones. Where `from` is a private mapping of the same file, `shown` is
    // the offset of what it shows.
    enum class Through { system_call, huge_mapping };
    int copy_to_file(std::byte* from, int fd, uint64_t offset, uint64_t size, Through through,
                     std::optional<uint64_t> shown = {});
    // The same for a file of hugetlb, which cannot be written by system call.
    int copy_to_hugetlb_file(const std::byte* from, int fd, uint64_t offset, uint64_t size);
    // Of a private mapping of a file, what it has pages of its own for: written into the file, which has pages there, and
    // copied to another private mapping of the same pages, which gets such pages of its own. `offset`: of
    // `from` in the file. The first is not for hugetlb.
    int write_private_pages(std::byte* from, uint64_t size, int fd, uint64_t offset);
    int copy_private_pages(std::byte* from, std::byte* to, uint64_t size);
    // Makes pages of such a file read zero, and keeps them.
    int zero_hugetlb_file(int fd, uint64_t offset, uint64_t size);
    // Copies what the file has into memory that reads zero.
    int copy_from_file(int fd, uint64_t offset, std::byte* to, uint64_t size);
    // Adds the slot, moves it to another gpa or, with size 0, deletes it.
    int set_memslot(Vm& vm, uint32_t slot, uint64_t gpa, uint64_t size, std::byte* host);

    // Of /proc/self/maps, until `look` returns false; none where the kernel does not say.
    void for_each_line_of_maps(const std::function<bool(const char* line)>& look) const;

    const SyscallCounts& counts() const { return counts_; }
    void reset_counts() { counts_ = {}; }

    // What the kernel has been asked for since this object was made, in calls, and what takes as long as so many.
    uint64_t work() const { return work_; }
    void add_work(uint64_t calls) { work_ += calls; }

    // The call numbered `nth` from now, 0 the next, fails with ENOMEM without having been made.
    void fail_call(uint64_t nth) { fail_in_ = nth; }
    // And once it has, also the call numbered `nth` of those that undo it.
    void fail_undo(uint64_t nth) { fail_undo_in_ = nth; }
    // Lets the process have some mappings more than before, for what must not fail; false where that has been
    // done already. And the end of it.
    bool make_room() { return ballast_.drop(); }
    void take_room_back() { ballast_.restore(); }
    // Makes an attempt that must not fail, and that can be made again: for want of memory it is, with room.
    template <class Attempt>
    int insist(Attempt attempt) {
        int error = attempt();
        return error == ENOMEM && make_room() ? attempt() : error;
    }

    // Takes fail_call() back: what undoes a call fails only where fail_undo() has said so.
    void cancel_failure() { fail_in_ = std::exchange(fail_undo_in_, {}); }

  private:
    bool fails_now();
    int find_pages_in_use(std::byte* at, uint64_t pages, std::vector<unsigned char>& in_use) const;
    std::vector<uint64_t> pagemap_of(const std::byte* at, uint64_t pages) const;
    int allocate(int fd, int mode, uint64_t offset, uint64_t size);

    template <class Copy>
    int for_each_private_run(std::byte* start, uint64_t size, Copy&& copy) const;
    template <class Copy>
    int for_each_run_in_use(std::byte* start, uint64_t size, int fd, std::optional<uint64_t> shown,
                            Copy&& copy) const;

    // Of this process, open for good, since a thread that is confined opens none; invalid where there is none.
    const Descriptor pagemap_, maps_;
    Ballast ballast_;
    SyscallCounts counts_;
    uint64_t work_ = 0;
    std::optional<uint64_t> fail_in_, fail_undo_in_;
};

}  // namespace gpremap
