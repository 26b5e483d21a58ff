// The limits of this process, as `ulimit` sets them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <system_error>

namespace gpremap {

struct Limits {
    // Nothing where there is no limit.
    std::optional<uint64_t> address_space;  // bytes
    std::optional<uint64_t> locked;         // bytes
    std::optional<uint64_t> files;          // open descriptors
};

// What a VM needs beside its aperture: agent, heap, stacks and libraries, in bytes; and in descriptors.
inline constexpr uint64_t address_space_beside_aperture = 1ull << 30;
inline constexpr uint64_t needed_files = 64;

Limits read_limits();

// How many mappings the kernel lets a process have (vm.max_map_count), at least 4096.
uint64_t most_mappings();

// Throws HostLacks where this process's limits leave no room for a VM with an aperture of that many bytes.
void require_limits(uint64_t aperture_size);

// What the kernel has run out of, by such an error, or which limit of this process has been met, and the mend:
// "WHAT: MEND". Nothing where the error says neither.
std::optional<std::string> lack_behind(const std::error_code& error);

}  // namespace gpremap
