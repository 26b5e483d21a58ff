// The rows of a bench: which there are, in which settings, on a host.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/bench/samples.h"
#include "vmm/config/machine_config.h"
#include "vmm/host/facts.h"

namespace gpremap {

// What is to be measured.
struct BenchChoice {
    std::vector<std::string> names;  // of benches; empty: all
    unsigned runs = 9;
    std::optional<uint64_t> max_size;  // bytes; without it, what fits this host, and no more than 4 GiB
    Overrides overrides;               // without backing and mechanism, or with automatic: each
};

inline constexpr std::array<std::string_view, 12> bench_names{
    "move",     "break-even", "overhead", "retouch",  "reclaim", "install",
    "exchange", "stall",      "alias",    "snapshot", "scale",   "hypercall"};

// Of the medians; what is rare and long, such as a stall, is compared by p99.
enum class Ratio { baseline_over_ours, ours_over_baseline, baseline_p99_over_ours };

// One row, and how it is measured.
struct Measurement {
    std::string_view bench;
    BenchSetting setting;
    std::string unit;
    std::string baseline;
    BenchSamples (*measure)(const BenchSetting&);
    Ratio ratio = Ratio::baseline_over_ours;
};

// Throws ConfigError where the choice is none, before the host is asked for anything.
void check_choice(const BenchChoice& choice);

// Of the chosen benches, bench by bench. What does not fit this host has no row. Throws HostLacks where a chosen backing
// is not there at all.
std::vector<Measurement> measurements_of(const BenchChoice& choice, const HostFacts& host,
                                         bool can_pre_fault);

}  // namespace gpremap
