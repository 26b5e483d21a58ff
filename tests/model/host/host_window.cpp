#include "tests/model/host/host_window.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

namespace host_oracle {
namespace {

using Kind = LinuxCall::Kind;

// Above any program's image and heap, below where the kernel's own search for free places ends.
constexpr uint64_t first_base = uint64_t{32} << 40;
constexpr uint64_t distance = uint64_t{1} << 30;

constexpr long mseal_number = 462;  // not in the headers of older systems

// PROCMAP_QUERY (Linux 6.11), which those headers lack too.
struct MapQuery {
    uint64_t size = sizeof(MapQuery);
    uint64_t flags = 0;
    uint64_t address = 0;
    uint64_t begin = 0, end = 0, rights = 0, page_size = 0, offset = 0, inode = 0;
    uint32_t major = 0, minor = 0;
    uint32_t name_size = 0, build_id_size = 0;
    uint64_t name = 0, build_id = 0;
};
static_assert(sizeof(MapQuery) == 104);
constexpr uint64_t map_query = _IOWR('f', 17, MapQuery);
constexpr uint64_t or_next = 0x10;
constexpr uint64_t rights_shared = 0x08;

int open_own(const char* path, int flags) {
    int file = open(path, flags | O_CLOEXEC);
    if (file < 0) throw std::system_error(errno, std::generic_category(), std::string("open ") + path);
    return file;
}

int64_t result_of(long returned) {
    return returned == -1 ? -errno : returned;
}

// For a kernel without PROCMAP_QUERY.
std::vector<HostMapping> parse_maps(uint64_t begin, uint64_t end) {
    std::vector<HostMapping> found;
    FILE* maps = fopen("/proc/self/maps", "re");
    if (!maps) throw std::system_error(errno, std::generic_category(), "open /proc/self/maps");
    char line[512];
    while (fgets(line, sizeof line, maps)) {
        HostMapping mapping;
        char r, w, x, s;
        if (sscanf(line, "%lx-%lx %c%c%c%c", &mapping.begin, &mapping.end, &r, &w, &x, &s) != 6) continue;
        if (mapping.end <= begin || mapping.begin >= end) continue;
        mapping.prot = static_cast<uint8_t>((r == 'r' ? 1 : 0) | (w == 'w' ? 2 : 0) | (x == 'x' ? 4 : 0));
        mapping.shared = s == 's';
        found.push_back(mapping);
    }
    fclose(maps);
    return found;
}

}  // namespace

HostWindow::HostWindow()
    : base_(first_base),
      memory_(open_own("/proc/self/mem", O_RDWR)),
      maps_(open_own("/proc/self/maps", O_RDONLY)),
      status_(open_own("/proc/self/status", O_RDONLY)) {}

HostWindow::~HostWindow() {
    close(memory_);
    close(maps_);
    close(status_);
}

int64_t HostWindow::make(const LinuxCall& call) const {
    uint64_t at = base_ + call.at;
    switch (call.kind) {
        case Kind::mremap:
            return result_of(syscall(SYS_mremap, at, call.len, call.new_len, call.flags, base_ + call.to));
        case Kind::mmap:
            // The kernel's account of promised memory, which keeps neighbours apart, is none of ours.
            return result_of(syscall(SYS_mmap, at, call.len, call.prot, call.flags | MAP_NORESERVE, -1L, 0L));
        case Kind::munmap:
            return result_of(syscall(SYS_munmap, at, call.len));
        case Kind::mprotect:
            return result_of(syscall(SYS_mprotect, at, call.len, call.prot));
        case Kind::madvise:
            return result_of(syscall(SYS_madvise, at, call.len, call.flags));
        case Kind::mlock:
            return result_of(syscall(SYS_mlock, at, call.len));
        case Kind::munlock:
            return result_of(syscall(SYS_munlock, at, call.len));
        case Kind::mseal:
            return result_of(syscall(mseal_number, at, call.len, call.flags));
        case Kind::store:
            return 0;
    }
    return -ENOSYS;
}

void HostWindow::bring_back(uint64_t from, uint64_t size, uint64_t to) const {
    int64_t result = result_of(syscall(SYS_mremap, from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to));
    if (result < 0)
        throw std::system_error(static_cast<int>(-result), std::generic_category(), "bring a result back");
}

void HostWindow::limit_locked(uint64_t bytes) const {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> held{};
    rlimit limit{};
    bool done = syscall(SYS_capget, &header, held.data()) == 0;
    held[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~CAP_TO_MASK(CAP_IPC_LOCK);
    done = done && syscall(SYS_capset, &header, held.data()) == 0 && getrlimit(RLIMIT_MEMLOCK, &limit) == 0;
    limit.rlim_cur = bytes;
    if (!done || setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        throw std::system_error(errno, std::generic_category(), "limit locked memory");
}

uint64_t HostWindow::locked() const {
    std::array<char, 4096> text{};
    if (pread(status_, text.data(), text.size() - 1, 0) < 0)
        throw std::system_error(errno, std::generic_category(), "read /proc/self/status");
    const char* line = strstr(text.data(), "\nVmLck:");
    unsigned long kib = 0;
    if (!line || sscanf(line, " VmLck: %lu kB", &kib) != 1)
        throw std::runtime_error("/proc/self/status has no VmLck");
    return uint64_t{kib} * 1024;
}

std::vector<HostMapping> HostWindow::mappings() const {
    std::vector<HostMapping> found;
    MapQuery query;
    for (uint64_t at = base_; at < end(); at = query.end) {
        query = {};
        query.flags = or_next;
        query.address = at;
        if (ioctl(maps_, map_query, &query) < 0) {
            if (errno == ENOENT) break;
            return parse_maps(base_, end());
        }
        if (query.begin >= end()) break;
        found.push_back({query.begin, query.end, static_cast<uint8_t>(query.rights & remap::all_prot_bits),
                         (query.rights & rights_shared) != 0});
    }
    return found;
}

// By way of /proc/self/mem, which the rights of private pages do not bind, where a plain access would fault.
uint64_t HostWindow::read(uint64_t at, const HostMapping& mapping) const {
    if (mapping.prot & PROT_READ) return *reinterpret_cast<const volatile uint64_t*>(at);
    uint64_t value = 0;
    if (pread(memory_, &value, sizeof value, static_cast<off_t>(at)) != sizeof value)
        throw std::system_error(errno, std::generic_category(), "read /proc/self/mem");
    return value;
}

void HostWindow::write(uint64_t at, uint64_t value, const HostMapping& mapping) const {
    if (mapping.prot & PROT_WRITE) {
        *reinterpret_cast<volatile uint64_t*>(at) = value;
        return;
    }
    if (pwrite(memory_, &value, sizeof value, static_cast<off_t>(at)) != sizeof value)
        throw std::system_error(errno, std::generic_category(), "write /proc/self/mem");
}

void HostWindow::clear() {
    munlockall();  // what is sealed stays, and would count
    if (munmap(reinterpret_cast<void*>(base_), end() - base_) == 0) return;
    for (const HostMapping& mapping : mappings())
        munmap(reinterpret_cast<void*>(mapping.begin), mapping.end - mapping.begin);
    base_ += distance;
}

bool moves_several_mappings() {
    HostWindow window;
    constexpr uint64_t flags =
        remap::linux_calls::map_private | remap::linux_calls::map_anonymous | remap::linux_calls::map_fixed;
    LinuxCall map{.kind = Kind::mmap, .len = 2 * page, .flags = flags, .prot = PROT_READ | PROT_WRITE};
    window.make(map);
    map.len = page;
    map.prot = PROT_READ;
    window.make(map);
    LinuxCall move{.kind = Kind::mremap, .len = 2 * page, .new_len = 2 * page};
    move.flags = remap::linux_calls::mremap_maymove | remap::linux_calls::mremap_fixed;
    move.to = 4 * page;
    bool moved = window.make(move) > 0;
    window.clear();
    return moved;
}

}  // namespace host_oracle
