#include "vmm/host/process_limits.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <cerrno>

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

std::optional<std::string> limit_behind(const std::error_code& error) {
    const Limits limits = read_limits();
    if (error == std::errc::too_many_files_open)
        return fmt::format("this process may open {} files: ulimit -n 1024", limits.files.value_or(0));
    if (error == std::errc::not_enough_memory && limits.address_space)
        return fmt::format("this process may have {} of address space: ulimit -v unlimited",
                           format_size(*limits.address_space));
    if (error == std::errc::resource_unavailable_try_again && limit_of(RLIMIT_NPROC))
        return fmt::format("this user may have {} threads and processes: ulimit -u unlimited",
                           *limit_of(RLIMIT_NPROC));
    return std::nullopt;
}

}  // namespace gpremap
