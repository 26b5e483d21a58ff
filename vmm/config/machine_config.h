// A VM as it is configured.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vmm/config/memory_config.h"
#include "vmm/config/parameter.h"

namespace gpremap {

// On which of the host's processors the threads of this program are to run.
struct PlacementConfig {
    enum class Rule { spread, any, stated };

    Rule rule = Rule::spread;
    std::vector<unsigned> cpus;       // where stated: of the vCPU threads, one each
    std::vector<unsigned> host_cpus;  // of all other threads; empty: those that no vCPU has
    // "FILE:LINE: key 'KEY': " of the two, for what only the host can say of them.
    std::string cpus_place;
    std::string host_cpus_place;
};

enum class GuestKind { agent, linux };
inline constexpr std::pair<std::string_view, GuestKind> guest_names[] = {{"agent", GuestKind::agent},
                                                                         {"linux", GuestKind::linux}};

// The guest "linux". Sizes in bytes.
struct LinuxConfig {
    std::string kernel;            // path of a bzImage or vmlinux; empty: Debian's, and its initramfs
    std::string initramfs;         // path; empty: made for that kernel
    std::vector<std::string> add;  // files for the initramfs that is made
    uint64_t memory = 1ull << 30;  // of the kernel, at boot
    std::string append;            // more of its command line
    std::string console;           // path of a file; empty: none, "-": standard error
    double boot_deadline = 300;    // seconds
};
// Above: the place of interrupt controllers, and what is left free for devices.
inline constexpr uint64_t highest_linux_memory = 2ull << 30;
inline constexpr uint64_t lowest_linux_aperture = 4ull << 30;

struct MachineConfig {
    unsigned vcpus = 1;
    GuestKind guest = GuestKind::agent;
    LinuxConfig linux_guest = {};
    MemoryConfig memory;
    // Whether a thread of the host takes calls from memory that it shares with the vCPUs (guest/abi/ring.h): no exit, but a
    // processor of its own. The agent then makes all its calls so.
    bool ring = false;
    PlacementConfig placement;
};

// What the command line says in place of the file.
struct Overrides {
    std::optional<Backing> backing;
    std::optional<Mechanism> mechanism;
    std::optional<uint64_t> granule;    // bytes
    std::optional<uint64_t> pool = {};  // bytes
    std::optional<GuestKind> guest = {};
    std::string linux_image = {};  // a folder with `kernel` and `initramfs`
    std::vector<ParameterSetting> parameters = {};
};

}  // namespace gpremap
