#include "vmm/host/process_limits.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>

#include "vmm/base/errors.h"
#include "vmm/base/units.h"

namespace gpremap {

namespace {

std::optional<uint64_t> limit_of(decltype(RLIMIT_AS) resource) {
    rlimit limit = {};
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
    return limit.rlim_cur;
}

}  // namespace

Limits read_limits() {
    return {limit_of(RLIMIT_AS), limit_of(RLIMIT_MEMLOCK), limit_of(RLIMIT_NOFILE)};
}

uint64_t most_mappings() {
    uint64_t mappings = 65530;  // the kernel's default
    std::ifstream("/proc/sys/vm/max_map_count") >> mappings;
    return std::max<uint64_t>(mappings, 4096);
}

void require_limits(uint64_t aperture_size) {
    const Limits limits = read_limits();
    if (limits.files && *limits.files < needed_files)
        throw HostLacks(fmt::format("this process may open {} files, and a VM needs {}: ulimit -n 1024",
                                    *limits.files, needed_files));
    const uint64_t needed = aperture_size + address_space_beside_aperture;
    if (limits.address_space && *limits.address_space < needed)
        throw HostLacks(fmt::format(
            "this process may have {} of address space, and a VM with an aperture of {} needs {}: "
            "ulimit -v unlimited, or make vm.aperture.size smaller",
            format_size(*limits.address_space), format_size(aperture_size), format_size(needed)));
}

std::optional<std::string> lack_behind(const std::error_code& error) {
    const Limits limits = read_limits();
    if (error == std::errc::too_many_files_open)
        return fmt::format("this process may open {} files: ulimit -n 1024", limits.files.value_or(0));
    if (error == std::errc::too_many_files_open_in_system)
        return "this host has no more open files to give: end what has many, or raise /proc/sys/fs/file-max";
    if (error == std::errc::not_enough_memory && limits.address_space)
        return fmt::format("this process may have {} of address space: ulimit -v unlimited",
                           format_size(*limits.address_space));
    if (error == std::errc::not_enough_memory)
        return "this host has no more memory for this process: free some, raise its cgroup's memory.max, or "
               "make "
               "vm.limit smaller";
    if (error != std::errc::resource_unavailable_try_again) return std::nullopt;
    if (const auto threads = limit_of(RLIMIT_NPROC))
        return fmt::format("this user may have {} threads and processes: ulimit -u unlimited", *threads);
    return "this host makes no more threads: end some, or raise its cgroup's pids.max or "
           "/proc/sys/kernel/threads-max";
}

}  // namespace gpremap
