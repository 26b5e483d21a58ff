// Which pages of a range of its own address space a process has in its page tables now, and how large they
// are there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gpremap {

// What the host has chosen for its transparent huge pages by the setting of that name, such as "madvise" for
// `enabled`; "none" where the kernel has no such setting.
std::string thp_setting(const std::string& name);

// A run of present pages of one size. `size` is no multiple of `page` where the range that was asked for
// begins or ends within a page.
struct HostPages {
    uint64_t at = 0;    // offset from the start of the range
    uint64_t size = 0;  // bytes
    uint64_t page = 0;  // bytes: 4 KiB, or that of a huge page
};

// Opens what resident_pages() reads, for threads that are confined.
void open_page_map();

// In order. `huge_page`: bytes of those that are no small ones, which the kernel does not say. Throws HostLacks where it
// cannot tell them apart (before Linux 6.7).
std::vector<HostPages> resident_pages(const std::byte* at, uint64_t size, uint64_t huge_page);

// Bytes of anonymous memory in the mappings that lie in the range. May take milliseconds.
uint64_t anonymous_bytes(const std::byte* at, uint64_t size);

}  // namespace gpremap
