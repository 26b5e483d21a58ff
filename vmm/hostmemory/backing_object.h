// The one file that backs a VM's shareable pages: sparse, in memory, without a name. remap::Store hands out
// offsets in it. What it is made of is known here alone.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "vmm/config/memory_config.h"
#include "vmm/hostmemory/host_calls.h"
#include "vmm/kvm/kvm.h"

namespace gpremap {

class BackingObject {
  public:
    // Below it the offsets are remap::Store's; those of the pool are above.
    static constexpr uint64_t offsets_of_store = uint64_t{1} << 62;

    enum class Pages {
        small,        // 4 KiB
        transparent,  // 2 MiB where a mapping asks for them (MADV_HUGEPAGE) and holds all of one
        hugetlb       // reserved huge pages, of the size that the backing has
    };

    // That of a VM with this backing: for all but those of hugetlb an ordinary file, which has transparent
    // huge pages where the host allows it. Throws HostLacks where the host has no such memory.
    explicit BackingObject(Backing backing);

    int fd() const { return fd_.get(); }
    Pages pages() const { return pages_; }
    // The largest that the file can be made of, and that a private copy of one can be; bytes.
    uint64_t largest_page() const;
    uint64_t largest_private_page() const;
    // Bytes of host memory that the file holds.
    uint64_t allocated() const;

    // Each returns the errno of a host call that failed, or 0. Bytes, multiples of the granule.

    // Maps [offset, offset + size) at `at`, in place of what is there. After a failure some of it may be.
    int map(HostCalls& calls, std::byte* at, uint64_t size, uint64_t offset, int prot) const;
    // The same as a private view, which copies on write.
    int map_private(HostCalls& calls, std::byte* at, uint64_t size, uint64_t offset, int prot) const;
    // Copies memory into pages of the file, some of which may be copied when it fails. Where the memory is
    // private copies of pages of the file, `shown` is where those begin.
    int copy_in(HostCalls& calls, std::byte* from, uint64_t offset, uint64_t size,
                std::optional<uint64_t> shown = {}) const;
    // Of hugetlb: makes those exist that were never touched.
    int make_pages(HostCalls& calls, uint64_t offset, uint64_t size) const;
    // Gives the pages back; they read zero from then on. What fails has given none back.
    int punch_hole(HostCalls& calls, uint64_t offset, uint64_t size) const;

  private:
    explicit BackingObject(std::pair<Descriptor, Pages> file, uint64_t huge_page);

    Descriptor fd_;
    Pages pages_;
    uint64_t huge_page_;  // of hugetlb; bytes
};

}  // namespace gpremap
