#include "vmm/host/resident_pages.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>

#include "remap/address.h"
#include "vmm/base/errors.h"
#include "vmm/kvm/kvm.h"

namespace gpremap {
namespace {

// <linux/fs.h> of Linux 6.7; Debian 12's header is older.
struct PageRegion {
    uint64_t start, end, categories;
};
struct ScanArguments {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
constexpr unsigned long pagemap_scan = _IOWR('f', 16, ScanArguments);
constexpr uint64_t is_present = 1u << 3, is_huge = 1u << 6;

const Descriptor& page_map() {
    static const Descriptor fd(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    return fd;
}

// Returns how many regions there are from `scan.start` on, and leaves in `scan.walk_end` where to go on.
size_t scan_some(const Descriptor& pagemap, ScanArguments& scan) {
    int found = ioctl(pagemap.get(), pagemap_scan, &scan);
    if (found >= 0) return static_cast<size_t>(found);
    if (errno == ENOTTY)
        throw HostLacks("this kernel cannot say how large the pages of a mapping are: Linux 6.7 can");
    throw_errno("PAGEMAP_SCAN");
}

}  // namespace

// The setting reads "always [madvise] never".
std::string thp_setting(const std::string& name) {
    std::ifstream file("/sys/kernel/mm/transparent_hugepage/" + name);
    std::string line;
    std::getline(file, line);
    size_t open = line.find('['), close = line.find(']');
    if (open == std::string::npos || close == std::string::npos || close < open) return "none";
    return line.substr(open + 1, close - open - 1);
}

void open_page_map() {
    page_map();
}

std::vector<HostPages> resident_pages(const std::byte* at, uint64_t size, uint64_t huge_page) {
    const Descriptor& pagemap = page_map();
    if (!pagemap.valid()) throw std::runtime_error("/proc/self/pagemap cannot be read");
    std::array<PageRegion, 512> regions;
    ScanArguments scan = {};
    scan.size = sizeof scan;
    scan.start = reinterpret_cast<uint64_t>(at);
    scan.end = scan.start + size;
    scan.vec = reinterpret_cast<uint64_t>(regions.data());
    scan.vec_len = regions.size();
    scan.category_mask = is_present;
    scan.return_mask = is_present | is_huge;

    std::vector<HostPages> pages;
    const uint64_t origin = scan.start;
    while (scan.start < scan.end) {
        size_t found = scan_some(pagemap, scan);
        for (const PageRegion& region : std::span(regions).first(found)) {
            uint64_t page = region.categories & is_huge ? huge_page : remap::kib4.bytes;
            pages.push_back({region.start - origin, region.end - region.start, page});
        }
        scan.start = scan.walk_end;
    }
    return pages;
}

uint64_t anonymous_bytes(const std::byte* at, uint64_t size) {
    uint64_t low = reinterpret_cast<uint64_t>(at), high = low + size;
    uint64_t kib = 0;
    bool inside = false;
    std::ifstream smaps("/proc/self/smaps");
    for (std::string line; std::getline(smaps, line);) {
        uint64_t begin = 0, end = 0, value = 0;
        if (sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2)
            inside = begin >= low && end <= high;
        else if (inside && sscanf(line.c_str(), "Anonymous: %lu kB", &value) == 1)
            kib += value;
    }
    return kib * 1024;
}

}  // namespace gpremap
