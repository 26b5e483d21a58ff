#include "vmm/hostmemory/hugetlb.h"

#include <sys/mman.h>

#include <algorithm>

namespace gpremap {

int map_hugetlb(HostCalls& calls, std::byte* at, uint64_t size, int fd, uint64_t offset, int prot,
                uint64_t huge_page) {
    const uint64_t most = largest_hugetlb_mapping(huge_page);
    for (uint64_t done = 0; done < size;) {
        uint64_t from = offset + done;
        uint64_t bytes = std::min(size - done, most - from % most);
        // Without access until the flag tells the piece from its neighbour.
        if (int error = calls.map(at + done, bytes, PROT_NONE, MAP_SHARED | MAP_FIXED, fd, from))
            return error;
        bool odd = from / most % 2 != 0;
        if (odd)
            if (int error = calls.advise(at + done, bytes, MADV_DONTDUMP)) return error;
        done += bytes;
    }
    return prot == PROT_NONE ? 0 : calls.protect(at, size, prot);
}

// A flag that hugetlb has no use for. Whichever of the two calls changes it splits.
int split_off_hugetlb(HostCalls& calls, std::byte* at, uint64_t size) {
    if (int error = calls.advise(at, size, MADV_SEQUENTIAL)) return error;
    return calls.advise(at, size, MADV_NORMAL);
}

}  // namespace gpremap
