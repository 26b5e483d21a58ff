// Facts of the host that results depend on and that `doctor` judges.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "vmm/base/descriptor.h"
#include "vmm/config/memory_config.h"

namespace gpremap {

struct HugePages {
    uint64_t total = 0;     // pages
    uint64_t free = 0;      // pages that no mapping has been promised
    uint64_t promised = 0;  // pages, neither free nor in use

    uint64_t in_use() const { return total - free - promised; }
};

struct HostFacts {
    std::string kernel;             // "6.18.44"
    std::string cpu;                // the processor's own name
    std::string mmu;                // "ept", "npt", "shadow", "stage2"; "none" where KVM cannot be used
    std::string thp;                // "always", "madvise", "never"; "none" where the kernel has no huge pages
    std::string thp_shmem;          // "advise", "never", ...; "none"
    uint64_t memory_total = 0;      // bytes
    uint64_t memory_available = 0;  // bytes
    uint64_t max_map_count = 0;     // mappings of one process
    std::optional<HugePages> huge_2m;  // nothing where the kernel does not support that size
};

HostFacts read_host();

// The host's pool of huge pages of `size` bytes, for a thread that is to look later, and then may open no file.
class OpenHugePages {
  public:
    explicit OpenHugePages(uint64_t size);
    // Nothing where the kernel does not support that size.
    std::optional<HugePages> read() const;

  private:
    Descriptor total_, free_, promised_;
};
std::optional<HugePages> read_huge_pages(uint64_t size);
// Pages, those among them that mappings have been promised: of nodes, the kernel does not tell these apart.
// Nothing where the host has no such node.
std::optional<uint64_t> unused_huge_2m_of_node(unsigned node);

// A limit above the host's memory is no error: it need not be used. Logs a warning then, and returns it.
std::optional<std::string> warn_of_large_limit(const MemoryConfig& memory);
// Bytes that the kernel's own tables for an aperture can come to: for each 2 MiB that have ever been touched a page table
// of the host and one of KVM's, and what KVM keeps of slots. Nothing charges them to the guest.
constexpr uint64_t most_tables(uint64_t aperture_size) {
    return aperture_size / 128;
}
// The same warning where they would take more than a quarter of the host's memory.
std::optional<std::string> warn_of_large_aperture(const MemoryConfig& memory);

// Huge pages are reserved by the administrator and not made when they are needed. Throws HostLacks where
// `memory` is made of them and none is free.
void require_huge_pages(const MemoryConfig& memory);

}  // namespace gpremap
