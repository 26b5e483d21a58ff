// How files of hugetlb are mapped so that what is mapped can be moved.
//
// A shared mapping of huge pages that covers a whole aligned GiB may share page tables with others like it,
// and Linux (6.18 too) deadlocks when mremap moves such a one. So no mapping gets larger than half of that:
// pieces that differ in a harmless flag, by turns, are never merged.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vmm/hostmemory/host_calls.h"

namespace gpremap {

// Bytes, of pages of that size. What page tables of 1 GiB pages share is not known: there are none.
constexpr uint64_t largest_hugetlb_mapping(uint64_t huge_page) {
    return huge_page < 512ull << 20 ? 512ull << 20 : huge_page;
}

// Maps [offset, offset + size) of the file at `at`, in place of what is there, and reserves its pages, of `huge_page`
// bytes.
// Returns 0, or the errno of a call that failed; some of it may then be mapped.
int map_hugetlb(HostCalls& calls, std::byte* at, uint64_t size, int fd, uint64_t offset, int prot,
                uint64_t huge_page);

// To be called before mremap moves [at, at + size), where some of it may be mapped privately: makes mappings of
// its own of it. Of one that moves only in part, Linux (6.12, 6.18) forgets what it has promised to the part that
// stays, and does not give the pool its untouched pages back, ever. Mappings of hugetlb are never merged.
// Returns 0, or the errno of a call that failed, which changes nothing that counts.
int split_off_hugetlb(HostCalls& calls, std::byte* at, uint64_t size);

}  // namespace gpremap
