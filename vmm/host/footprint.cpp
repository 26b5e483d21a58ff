#include "vmm/host/footprint.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "vmm/host/facts.h"

namespace gpremap {
namespace {

// A field of /proc/self/status, in bytes.
uint64_t status_field(const std::string& name) {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
        uint64_t kib = 0;
        if (word == name + ":" && status >> kib) return kib << 10;
    }
    return 0;
}

uint64_t lines_of(const char* path) {
    std::ifstream file(path);
    return static_cast<uint64_t>(
        std::count(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>(), '\n'));
}

uint64_t open_descriptors() {
    std::error_code error;
    std::filesystem::directory_iterator open("/proc/self/fd", error), end;
    if (error) return 0;
    return static_cast<uint64_t>(std::distance(open, end)) - 1;  // one of them is that of the folder
}

uint64_t taken_of_pool(uint64_t size) {
    const auto pool = read_huge_pages(size);
    return pool ? pool->total - std::min(pool->total, pool->free) : 0;
}

}  // namespace

Footprint read_footprint() {
    return {status_field("VmRSS") + status_field("VmPTE"), open_descriptors(), lines_of("/proc/self/maps"),
            taken_of_pool(2ull << 20) + taken_of_pool(1ull << 30)};
}

}  // namespace gpremap
