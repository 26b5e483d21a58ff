// What else goes on on the host, and how its processors are driven: what times depend on, beside the facts.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace gpremap {

// Of one resource, in which some task waited for it (Linux's pressure stall information).
struct Pressure {
    double avg10 = 0;       // percent of the last 10 seconds
    double avg60 = 0;       // percent of the last minute
    uint64_t total_us = 0;  // since the host has started
};

// Nothing, of what this host does not say.
struct HostConditions {
    std::optional<std::string> governor;  // "performance"; "performance, powersave" where processors differ
    std::optional<std::array<double, 3>> load;  // tasks that run or wait: means of 1, 5 and 15 minutes
    // For which a hypervisor kept processors of this host from running, since the host has started.
    std::optional<uint64_t> steal_ms;
    std::map<std::string, std::optional<Pressure>> pressure;  // "cpu", "memory", "io"
};

// `root` is where /proc and /sys are.
HostConditions read_conditions(const std::filesystem::path& root = "/");

}  // namespace gpremap
