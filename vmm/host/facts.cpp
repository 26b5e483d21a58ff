#include "vmm/host/facts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <system_error>

#include "vmm/base/errors.h"
#include "vmm/base/units.h"
#include "vmm/host/resident_pages.h"
#include "vmm/kvm/kvm.h"

namespace gpremap {

namespace {

std::optional<uint64_t> number_in(const std::string& path) {
    std::ifstream file(path);
    uint64_t number = 0;
    if (file >> number) return number;
    return std::nullopt;
}

// What stands behind `name` and a colon in a file such as /proc/meminfo.
std::string field_in(const std::string& path, const std::string& name) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.rfind(name, 0) != 0) continue;
        size_t colon = line.find(':');
        size_t value = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
        return value == std::string::npos ? "" : line.substr(value);
    }
    return "";
}

uint64_t memory_field(const std::string& name) {
    std::string text = field_in("/proc/meminfo", name);
    return text.empty() ? 0 : std::stoull(text) * 1024;  // the kernel says kB and means KiB
}

std::string kernel_release() {
    utsname name = {};
    uname(&name);
    return name.release;
}

std::string mmu_kind() {
    try {
        return name_of(Kvm().capabilities().mmu);
    } catch (const HostLacks&) {
    } catch (const std::system_error&) {
    }
    return "none";
}

// Of huge pages of `size` bytes.
std::string folder_of(uint64_t size) {
    return "/sys/kernel/mm/hugepages/hugepages-" + std::to_string(size >> 10) + "kB/";
}

Descriptor open_to_read(const std::string& path) {
    return Descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

// From the beginning of the file, each time.
std::optional<uint64_t> number_in(const Descriptor& file) {
    char text[32];
    const ssize_t size = file.valid() ? pread(file.get(), text, sizeof text, 0) : -1;
    uint64_t number = 0;
    if (size <= 0 || std::from_chars(text, text + size, number).ec != std::errc()) return std::nullopt;
    return number;
}

}  // namespace

OpenHugePages::OpenHugePages(uint64_t size)
    : total_(open_to_read(folder_of(size) + "nr_hugepages")),
      free_(open_to_read(folder_of(size) + "free_hugepages")),
      promised_(open_to_read(folder_of(size) + "resv_hugepages")) {}

std::optional<HugePages> OpenHugePages::read() const {
    const auto total = number_in(total_), free = number_in(free_);
    if (!total || !free) return std::nullopt;
    const uint64_t promised = number_in(promised_).value_or(0);
    return HugePages{*total, *free - std::min(*free, promised), promised};
}

std::optional<HugePages> read_huge_pages(uint64_t size) {
    return OpenHugePages(size).read();
}

std::optional<uint64_t> unused_huge_2m_of_node(unsigned node) {
    return number_in("/sys/devices/system/node/node" + std::to_string(node) +
                     "/hugepages/hugepages-2048kB/free_hugepages");
}

HostFacts read_host() {
    HostFacts host;
    host.kernel = kernel_release();
    host.cpu = field_in("/proc/cpuinfo", "model name");
    host.mmu = mmu_kind();
    host.thp = thp_setting("enabled");
    host.thp_shmem = thp_setting("shmem_enabled");
    host.memory_total = memory_field("MemTotal");
    host.memory_available = memory_field("MemAvailable");
    host.max_map_count = number_in("/proc/sys/vm/max_map_count").value_or(0);
    host.huge_2m = read_huge_pages(2ull << 20);
    return host;
}

std::optional<std::string> warn_of_large_limit(const MemoryConfig& memory) {
    const uint64_t most = memory_field("MemTotal");
    if (memory.limit <= most) return std::nullopt;
    std::string warning = fmt::format(
        "limit is {}, and this host has {} MiB: a guest that uses more than the host has is killed, "
        "and gets no ENOMEM",
        format_size(memory.limit), most >> 20);
    spdlog::warn("{}", warning);
    return warning;
}

std::optional<std::string> warn_of_large_aperture(const MemoryConfig& memory) {
    const uint64_t tables = most_tables(memory.aperture_size), most = memory_field("MemTotal");
    if (tables <= most / 4) return std::nullopt;
    std::string warning = fmt::format(
        "aperture is {}: a guest that touches it all over has the kernel keep up to {} of tables for it, "
        "beside "
        "limit, and this host has {} MiB: make vm.aperture.size smaller",
        format_size(memory.aperture_size), format_size(tables), most >> 20);
    spdlog::warn("{}", warning);
    return warning;
}

void require_huge_pages(const MemoryConfig& memory) {
    const BackingTraits& backing = traits_of(memory.backing);
    if (backing.huge_page == 0) return;
    auto pages = read_huge_pages(backing.huge_page);
    if (pages && pages->free > 0) return;
    throw HostLacks("no huge page of " + format_size(backing.huge_page) + " is free, which backing " +
                    std::string(backing.name) + " is made of: echo N > " + folder_of(backing.huge_page) +
                    "nr_hugepages");
}

}  // namespace gpremap
