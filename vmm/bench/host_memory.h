// Memory of the kind that a VM's ranges are made of, but in no window: what the bare system calls of a
// baseline work on. All of it is touched. Throws std::system_error where the host refuses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "vmm/hostmemory/backing_object.h"
#include "vmm/memory/remapper.h"

namespace gpremap {

class HostMemory {
  public:
    // `backing` is not automatic.
    HostMemory(Backing backing, uint64_t size);
    ~HostMemory();
    HostMemory(const HostMemory&) = delete;
    HostMemory& operator=(const HostMemory&) = delete;

    std::byte* here() const { return here_; }
    // Where it moves to next: reserved, and PROT_NONE.
    std::byte* there() const { return there_; }

    // mremap to another place, congruent modulo 1 GiB, and mmap of PROT_NONE where it was: the plain
    // way, which a window can take while vCPUs run. Returns the ns that the two took.
    uint64_t move();

    // MADV_DONTNEED of anonymous memory, or a hole punched into the file; the pages are then touched again.
    // Returns the ns of the one call.
    uint64_t give_back();

  private:
    bool is_hugetlb() const;
    void map_pages();
    void map_pages_of_hugetlb();
    void touch();

    uint64_t size_;
    uint64_t distance_;  // bytes between the two places
    void* reserved_;
    std::byte* here_;
    std::byte* there_;
    std::optional<BackingObject> object_;  // of what is not anonymous
};

}  // namespace gpremap
