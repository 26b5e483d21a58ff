#include "vmm/verbs/bench_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "vmm/base/errors.h"
#include "vmm/base/units.h"
#include "vmm/bench/benches.h"
#include "vmm/bench/beside.h"
#include "vmm/bench/break_even.h"
#include "vmm/bench/snapshots.h"
#include "vmm/config/toml_reader.h"
#include "vmm/scenario/reading.h"

namespace gpremap {

namespace {

constexpr uint64_t small_granule = 4096, large_page = 2ull << 20;  // bytes
constexpr uint64_t mib = 1ull << 20;
constexpr std::array<uint64_t, 6> sizes{2 * mib, 16 * mib, 64 * mib, 256 * mib, 1024 * mib, 4096 * mib};
// The largest of the benches that are not a series of sizes.
constexpr uint64_t single_size = 256 * mib;
// Where an exit is much of what a move takes.
constexpr uint64_t ring_size = 2 * mib;
// Where a move has won long ago.
constexpr uint64_t break_even_size = 16 * mib;
constexpr unsigned stalls_per_run = 20;
constexpr std::array<uint64_t, 4> extent_counts{10, 100, 1000, 30'000};

// A setting without a size: one for each backing and mechanism.
using Settings = std::vector<BenchSetting>;

std::vector<Mechanism> mechanisms(const Overrides& overrides) {
    Mechanism chosen = overrides.mechanism.value_or(Mechanism::automatic);
    if (chosen == Mechanism::automatic) return {Mechanism::window, Mechanism::memslot};
    return {chosen};
}

// Without a choice, huge pages only where some are free.
std::vector<Backing> backings(const Overrides& overrides) {
    MemoryConfig memory;
    memory.backing = overrides.backing.value_or(Backing::automatic);
    require_huge_pages(memory);
    if (memory.backing != Backing::automatic) return {memory.backing};
    std::vector<Backing> all;
    for (const BackingTraits& each : backing_traits)
        if (each.backing != Backing::automatic && overrides.granule.value_or(~0ull) >= each.least_granule)
            all.push_back(each.backing);
    return all;
}

Settings settings_of(const BenchChoice& choice) {
    Settings settings;
    for (Backing backing : backings(choice.overrides))
        for (Mechanism mechanism : mechanisms(choice.overrides)) {
            uint64_t least = traits_of(backing).least_granule;
            settings.push_back({.granule = choice.overrides.granule.value_or(least),
                                .backing = backing,
                                .mechanism = mechanism,
                                .runs = choice.runs});
        }
    return settings;
}

// Which sizes fit: a bench has up to twice the size touched at once, and 2 MiB or a granule.
std::vector<uint64_t> sizes_for(const BenchSetting& setting, const BenchChoice& choice,
                                const HostFacts& host) {
    uint64_t available = host.memory_available / 2;
    if (uint64_t huge_page = huge_page_of(setting.backing)) {
        auto pages = read_huge_pages(huge_page);
        available = pages ? pages->free * huge_page : 0;
    }
    std::vector<uint64_t> fitting;
    for (uint64_t size : sizes)
        if (size <= choice.max_size.value_or(sizes.back()) && size % setting.granule == 0 &&
            2 * size + std::max(large_page, setting.granule) <= available)
            fitting.push_back(size);
    return fitting;
}

// Beside the size, a warm pool of as much, and a second VM without one.
bool fits_with_pool(const BenchSetting& setting) {
    const uint64_t huge_page = huge_page_of(setting.backing);
    if (huge_page == 0) return true;
    const auto pages = read_huge_pages(huge_page);
    return pages && pages->free * huge_page >= 3 * setting.size + 4 * std::max(large_page, setting.granule);
}

class Plan {
  public:
    Plan(const BenchChoice& choice, const Settings& settings, const HostFacts& host, bool can_pre_fault)
        : can_pre_fault_(can_pre_fault) {
        for (const BenchSetting& setting : settings) {
            std::vector<uint64_t> fitting = sizes_for(setting, choice, host);
            if (fitting.empty()) continue;
            for (uint64_t size : fitting) add_series(at_size(setting, size));
            add_single(at_size(setting, largest_of(fitting, std::max(single_size, setting.granule))));
            add_break_even(at_size(setting, largest_of(fitting, std::max(break_even_size, setting.granule))));
        }
        for (const BenchSetting& setting : settings)
            if (setting.mechanism == mechanisms(choice.overrides).front() &&
                setting.backing == backings(choice.overrides).front())
                add_calls(at_size(setting, setting.granule));
    }

    // Those of the chosen benches, bench by bench.
    std::vector<Measurement> chosen(const std::vector<std::string>& names) const {
        std::vector<Measurement> result;
        for (std::string_view bench : bench_names)
            for (const Measurement& measurement : all_)
                if (measurement.bench == bench && is_chosen(bench, names)) result.push_back(measurement);
        return result;
    }

  private:
    static bool is_chosen(std::string_view bench, const std::vector<std::string>& names) {
        return names.empty() || std::find(names.begin(), names.end(), bench) != names.end();
    }

    static BenchSetting with_pre_fault(BenchSetting setting) {
        setting.pre_fault = true;
        return setting;
    }

    static BenchSetting at_size(BenchSetting setting, uint64_t size) {
        setting.size = size;
        return setting;
    }

    // The first is not above it.
    static uint64_t largest_of(const std::vector<uint64_t>& fitting, uint64_t most) {
        return *std::prev(std::upper_bound(fitting.begin(), fitting.end(), most));
    }

    void add_break_even(BenchSetting setting) {
        constexpr std::string_view bench = "break-even", baseline = "no reread";
        all_.push_back({bench, setting, "bytes", std::string(baseline), bench_break_even});
        setting.ring = true;
        all_.push_back({bench, setting, "bytes, ring", std::string(baseline), bench_break_even});
        setting.ring = false;
        add_beside(bench, setting, "bytes", bench_break_even, baseline);
    }

    void add_series(const BenchSetting& setting) {
        bool slots = setting.mechanism == Mechanism::memslot;
        all_.push_back({"move", setting, "ns", "the guest's memmove", bench_move});
        add_beside("move", setting, "ns", bench_move_beside);
        if (setting.size <= ring_size)
            all_.push_back(
                {"move", setting, "ns, ring, reread", "guest's memmove", bench_ring_move_and_reread});
        all_.push_back({"overhead", setting, "ns", slots ? "the bare memslot ioctl" : "bare mremap and mmap",
                        bench_overhead, Ratio::ours_over_baseline});
        if (slots) return;
        all_.push_back({"overhead", setting, "ns", "mremap and mmap, in no memslot",
                        bench_overhead_without_slot, Ratio::ours_over_baseline});
    }

    void add_single(const BenchSetting& setting) {
        const bool anon = traits_of(setting.backing).begins_anonymous, pool = fits_with_pool(setting);
        const std::string alone = anon ? "madvise alone" : "fallocate alone";
        all_.push_back({"retouch", setting, "ns", "the same before the move", bench_retouch});
        all_.push_back({"retouch", setting, "ns, and move", "the guest's memmove", bench_move_and_reread});
        if (can_pre_fault_)
            all_.push_back({"retouch", with_pre_fault(setting), "ns, pre-faulted", "guest's memmove",
                            bench_move_and_reread});
        all_.push_back({"reclaim", setting, "ns", alone, bench_reclaim});
        if (pool) {
            all_.push_back({"reclaim", setting, "ns, to the pool", alone, bench_reclaim_to_pool});
            add_beside("reclaim", setting, "ns, pool", bench_reclaim_to_pool_beside);
        }
        all_.push_back({"install", setting, "ns", "the same, both cold", bench_install});
        if (pool) {
            all_.push_back({"install", setting, "ns, from the pool", "cold", bench_install_from_pool});
            add_beside("install", setting, "ns, pool", bench_install_from_pool_beside);
        }
        add_beside("exchange", setting, "ns", bench_exchange_beside);
        add_stall(setting);
        // The first alias of anonymous memory copies it into a memfd, which it then is.
        if (!anon) all_.push_back({"alias", setting, "ns", "the guest's copy", bench_alias});
        if (huge_page_of(setting.backing) == 0) add_snapshot(setting);
    }

    // The call beside a vCPU that writes, and beside one that reads, other memory.
    void add_beside(std::string_view bench, BenchSetting setting, const std::string& unit,
                    BenchSamples (*measure)(const BenchSetting&), std::string_view baseline = "alone") {
        setting.vcpus = 2;
        for (auto [access, who] :
             {std::pair(abi::FaultKind::write, "a writer"), {abi::FaultKind::read, "a reader"}}) {
            setting.neighbour = access;
            all_.push_back(
                {bench, setting, fmt::format("{}, beside {}", unit, who), std::string(baseline), measure});
        }
    }

    void add_snapshot(BenchSetting setting) {
        all_.push_back({"snapshot", setting, "ns", "at once", bench_snapshot});
        setting.vcpus = 2;
        all_.push_back({"snapshot", setting, "ns, gap beside a writer", "at once", bench_snapshot_gap});
    }

    // A p99 of few samples would be their maximum.
    void add_stall(BenchSetting setting) {
        setting.vcpus = 2;
        setting.runs *= stalls_per_run;
        constexpr Ratio ratio = Ratio::baseline_p99_over_ours;
        all_.push_back({"stall", setting, "ns, beside", "no move", bench_stall_elsewhere, ratio});
        all_.push_back({"stall", setting, "ns, inside", "no move", bench_stall_in_range, ratio});
        if (setting.mechanism == Mechanism::memslot) return;  // its vCPUs are always paused
        for (auto [pause, what] : {std::pair(Pause::always, "paused"), {Pause::needed, "running"}}) {
            setting.pause = pause;
            all_.push_back({"stall", setting, fmt::format("ns, {}", what), "auto", bench_gap_beside, ratio});
        }
    }

    void add_calls(BenchSetting setting) {
        all_.push_back({"hypercall", setting, "ns", "one KVM_RUN exit", bench_hypercall});
        all_.push_back({"hypercall", setting, "ns, by the ring", "by an exit", bench_ring});
        all_.push_back({"hypercall", setting, fmt::format("ns, one of {}", GPREMAP_MAX_BATCH),
                        "one KVM_RUN exit", bench_batch});
        all_.push_back({"hypercall", setting, fmt::format("ns, map+unmap of {}", GPREMAP_MAX_BATCH),
                        "one by one", bench_batched_maps});
        // Huge pages are reserved with each extent, and there are not as many.
        if (huge_page_of(setting.backing) != 0) return;
        setting.granule = setting.size = small_granule;
        for (uint64_t extents : extent_counts) {
            setting.extents = extents;
            all_.push_back(
                {"scale", setting, fmt::format("ns, {} extents", extents), "10 extents", bench_scale});
        }
    }

    const bool can_pre_fault_;
    std::vector<Measurement> all_;
};

}  // namespace

void check_choice(const BenchChoice& choice) {
    for (const std::string& name : choice.names)
        if (std::find(bench_names.begin(), bench_names.end(), name) == bench_names.end())
            throw ConfigError(fmt::format("no bench is called '{}': expected one of {}", name,
                                          fmt::join(bench_names, ", ")));
    if (choice.runs == 0) throw ConfigError("--runs: expected 1 or more");
    if (choice.max_size.value_or(sizes.front()) < sizes.front())
        throw ConfigError("--max-size: expected 2MiB or more, the smallest size that is measured");
    const auto& [backing, granule] = std::pair(choice.overrides.backing, choice.overrides.granule);
    if (!backing || !granule || *granule >= traits_of(*backing).least_granule) return;
    throw ConfigError(fmt::format("backing {} cannot be mapped by {}: use --granule {}", name_of(*backing),
                                  format_size(*granule), name_of_granule(traits_of(*backing).least_granule)));
}

std::vector<Measurement> measurements_of(const BenchChoice& choice, const HostFacts& host,
                                         bool can_pre_fault) {
    return Plan(choice, settings_of(choice), host, can_pre_fault).chosen(choice.names);
}

}  // namespace gpremap
