// Moving host memory that may consist of several mappings. From Linux 6.17 on one mremap takes them all;
// before, it refuses (EFAULT), and each is moved by itself.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vmm/hostmemory/host_calls.h"

namespace gpremap {

// What is where the memory was: a hole, or mappings that read zero (which not all memory can leave: EINVAL).
enum class Leaves { hole, zero };

// Moves all of it or, on failure, nothing (a mapping at the target may have gone). Returns 0 or the errno.
// Throws std::bad_alloc before anything has moved, and std::system_error where part of it could not be moved
// back.
int move_memory(HostCalls& calls, std::byte* from, std::byte* to, uint64_t size, Leaves leaves);

// How often mremap flushes TLBs while it moves memory that is all present: once for each page table of 2 MiB that it
// takes something from or puts something into, and once for a whole table of those, 1 GiB at multiples of 1 GiB. Bytes.
uint64_t flushes_of_mremap(uint64_t from, uint64_t to, uint64_t size);

}  // namespace gpremap
