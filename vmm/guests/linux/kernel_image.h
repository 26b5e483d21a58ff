// A Linux kernel as a file, bzImage or vmlinux, and its way into the guest's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpremap {

struct LoadedKernel {
    uint64_t entry;  // in 64-bit mode, guest-physical
    uint64_t end;    // of all that it needs before it has tables of its own
    // Its setup header, as boot parameters have it from byte `setup_header` on; none of a vmlinux.
    std::vector<std::byte> setup;
    static constexpr std::size_t setup_header = 0x1f1;
};

// Loads the kernel in `file` into `memory`, which begins at guest-physical address 0, at `at` (a multiple of 2 MiB) and
// behind. `path` is for messages. Throws ConfigError where the file is no kernel that can be loaded there, or too
// large. https://docs.kernel.org/arch/x86/boot.html
LoadedKernel load_kernel(std::span<std::byte> memory, uint64_t at, std::string_view file,
                         const std::string& path);

}  // namespace gpremap
