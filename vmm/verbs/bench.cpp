// `gpremap bench [NAME...]`: every figure beside what it replaces, measured in turn in the same process.
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/errors.h"
#include "vmm/base/interruption.h"
#include "vmm/base/json_file.h"
#include "vmm/base/progress.h"
#include "vmm/base/spread.h"
#include "vmm/base/units.h"
#include "vmm/bench/benches.h"
#include "vmm/bench/beside.h"
#include "vmm/config/toml_reader.h"
#include "vmm/host/conditions.h"
#include "vmm/host/facts.h"
#include "vmm/host/placement.h"
#include "vmm/host/process_limits.h"
#include "vmm/host/processors.h"
#include "vmm/kvm/kvm.h"
#include "vmm/report/json.h"
#include "vmm/sandbox/sandbox.h"
#include "vmm/scenario/reading.h"
#include "vmm/verbs/huge_page_reservation.h"
#include "vmm/verbs/options.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

namespace {

struct BenchOptions {
    std::vector<std::string> names;  // of benches; empty: all
    unsigned runs = 9;
    std::optional<uint64_t> max_size;  // bytes; without it, what fits this host, and no more than 4 GiB
    Overrides overrides;               // without backing and mechanism, or with automatic: each
    std::string json;                  // where the result goes, too; empty: nowhere
    uint64_t huge_pages = 0;           // of 2 MiB, that the host's pool has more for the time of the run
    Sandbox sandbox = Sandbox::on;
    ShowProgress progress = ShowProgress::yes;
};

constexpr uint64_t small_granule = 4096, large_page = 2ull << 20;  // bytes
constexpr uint64_t mib = 1ull << 20;
constexpr std::array<uint64_t, 6> sizes{2 * mib, 16 * mib, 64 * mib, 256 * mib, 1024 * mib, 4096 * mib};
// The largest of the benches that are not a series of sizes.
constexpr uint64_t single_size = 256 * mib;
constexpr uint64_t ring_size = 2 * mib;  // where an exit is much of what a move takes
constexpr unsigned stalls_per_run = 20;
constexpr std::array<uint64_t, 4> extent_counts{10, 100, 1000, 30'000};

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

struct Row {
    Measurement measured;
    BenchSamples samples;
    Spread<uint64_t> ours = spread_of(samples.ours);
    Spread<uint64_t> baseline = spread_of(samples.baseline);

    double ratio() const {
        bool rare = measured.ratio == Ratio::baseline_p99_over_ours;
        double a = static_cast<double>(rare ? baseline.p99 : baseline.median);
        double b = static_cast<double>(rare ? ours.p99 : ours.median);
        return measured.ratio == Ratio::ours_over_baseline ? b / std::max(a, 1.0) : a / std::max(b, 1.0);
    }
};

// ---- what is measured ----

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

Settings settings_of(const BenchOptions& options) {
    Settings settings;
    for (Backing backing : backings(options.overrides))
        for (Mechanism mechanism : mechanisms(options.overrides)) {
            uint64_t least = traits_of(backing).least_granule;
            settings.push_back({.granule = options.overrides.granule.value_or(least),
                                .backing = backing,
                                .mechanism = mechanism,
                                .runs = options.runs});
        }
    return settings;
}

// Which sizes fit: a bench has up to twice the size touched at once, and 2 MiB or a granule.
std::vector<uint64_t> sizes_for(const BenchSetting& setting, const BenchOptions& options,
                                const HostFacts& host) {
    uint64_t available = host.memory_available / 2;
    if (uint64_t huge_page = huge_page_of(setting.backing)) {
        auto pages = read_huge_pages(huge_page);
        available = pages ? pages->free * huge_page : 0;
    }
    std::vector<uint64_t> fitting;
    for (uint64_t size : sizes)
        if (size <= options.max_size.value_or(sizes.back()) && size % setting.granule == 0 &&
            2 * size + std::max(large_page, setting.granule) <= available)
            fitting.push_back(size);
    return fitting;
}

class Plan {
  public:
    Plan(const BenchOptions& options, const Settings& settings, const HostFacts& host, bool can_pre_fault)
        : can_pre_fault_(can_pre_fault) {
        for (const BenchSetting& setting : settings) {
            std::vector<uint64_t> fitting = sizes_for(setting, options, host);
            if (fitting.empty()) continue;
            for (uint64_t size : fitting) add_series(at_size(setting, size));
            const uint64_t single = std::max(single_size, setting.granule);
            fitting.erase(std::upper_bound(fitting.begin(), fitting.end(), single), fitting.end());
            add_single(at_size(setting, fitting.back()));
        }
        for (const BenchSetting& setting : settings)
            if (setting.mechanism == mechanisms(options.overrides).front() &&
                setting.backing == backings(options.overrides).front())
                add_calls(at_size(setting, setting.granule));
    }

    // Those of the chosen benches, bench by bench.
    std::vector<Measurement> chosen(const std::vector<std::string>& names) const {
        std::vector<Measurement> result;
        for (std::string_view bench : benches)
            for (const Measurement& measurement : all_)
                if (measurement.bench == bench && is_chosen(bench, names)) result.push_back(measurement);
        return result;
    }

    static constexpr std::array<std::string_view, 10> benches{"move",    "overhead", "retouch", "reclaim",
                                                              "install", "exchange", "stall",   "alias",
                                                              "scale",   "hypercall"};

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
        bool anon = traits_of(setting.backing).begins_anonymous;
        all_.push_back({"retouch", setting, "ns", "the same before the move", bench_retouch});
        all_.push_back({"retouch", setting, "ns, and move", "the guest's memmove", bench_move_and_reread});
        if (can_pre_fault_)
            all_.push_back({"retouch", with_pre_fault(setting), "ns, pre-faulted", "guest's memmove",
                            bench_move_and_reread});
        all_.push_back({"reclaim", setting, "ns", anon ? "madvise alone" : "fallocate alone", bench_reclaim});
        if (anon)
            all_.push_back({"reclaim", setting, "ns, to the pool", "madvise alone", bench_reclaim_to_pool});
        if (anon) add_beside("reclaim", setting, "ns, pool", bench_reclaim_to_pool_beside);
        all_.push_back({"install", setting, "ns", "the same, both cold", bench_install});
        if (anon) all_.push_back({"install", setting, "ns, from the pool", "cold", bench_install_from_pool});
        if (anon) add_beside("install", setting, "ns, pool", bench_install_from_pool_beside);
        add_beside("exchange", setting, "ns", bench_exchange_beside);
        add_stall(setting);
        // The first alias of anonymous memory copies it into a memfd, which it then is.
        if (!anon) all_.push_back({"alias", setting, "ns", "the guest's copy", bench_alias});
    }

    // The call beside a vCPU that writes, and beside one that reads, other memory.
    void add_beside(std::string_view bench, BenchSetting setting, const std::string& unit,
                    BenchSamples (*measure)(const BenchSetting&)) {
        setting.vcpus = 2;
        for (auto [access, who] :
             {std::pair(abi::FaultKind::write, "a writer"), {abi::FaultKind::read, "a reader"}}) {
            setting.neighbour = access;
            all_.push_back({bench, setting, fmt::format("{}, beside {}", unit, who), "alone", measure});
        }
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

void check_options(const BenchOptions& options) {
    for (const std::string& name : options.names)
        if (std::find(Plan::benches.begin(), Plan::benches.end(), name) == Plan::benches.end())
            throw ConfigError(fmt::format("no bench is called '{}': expected one of {}", name,
                                          fmt::join(Plan::benches, ", ")));
    if (options.runs == 0) throw ConfigError("--runs: expected 1 or more");
    if (options.max_size.value_or(sizes.front()) < sizes.front())
        throw ConfigError("--max-size: expected 2MiB or more, the smallest size that is measured");
    const auto& [backing, granule] = std::pair(options.overrides.backing, options.overrides.granule);
    if (!backing || !granule || *granule >= traits_of(*backing).least_granule) return;
    throw ConfigError(fmt::format("backing {} cannot be mapped by {}: use --granule {}", name_of(*backing),
                                  format_size(*granule), name_of_granule(traits_of(*backing).least_granule)));
}

// ---- where ----

// For each number of vCPUs that is measured with.
using Pinnings = std::map<unsigned, Pinning>;

Pinnings pinnings_for(const std::vector<Measurement>& measurements) {
    Pinnings pinnings;
    for (const Measurement& measurement : measurements) {
        const unsigned vcpus = measurement.setting.vcpus;
        pinnings[vcpus] = choose_pinning(PlacementConfig(), vcpus, usable_processors());
    }
    return pinnings;
}

BenchSamples measure(const Measurement& measurement, const Pinning& pinning) {
    const RunOn host_cpus(pinning.host_cpus);
    BenchSetting setting = measurement.setting;
    if (pinning.cpus) setting.cpus = *pinning.cpus;
    return measurement.measure(setting);
}

// ---- the result ----

std::string microseconds(uint64_t ns) {
    return fmt::format("{:.1f}", static_cast<double>(ns) / 1000);
}

constexpr std::string_view line = "{:<9} {:>8} {:<10} {:<9} {:>9} {:>9} {:>9} {:>7}  {}\n";

// "1 vCPU on processor 1, the rest of this program on 0,2-3"
std::string describe(unsigned vcpus, const Pinning& pinning) {
    if (pinning.note) return *pinning.note;
    return fmt::format("{} vCPU{} on processor{} {}, the rest of this program on {}", vcpus,
                       vcpus == 1 ? "" : "s", vcpus == 1 ? "" : "s", list_of(*pinning.cpus),
                       list_of(*pinning.host_cpus));
}

void print_header(std::ostream& out, const HostFacts& host, unsigned runs, const Pinnings& pinnings) {
    fmt::print(out, "MMU kind {}, {}; us, {} runs of each and its baseline in turn\n", host.mmu, host.cpu,
               runs);
    for (const auto& [vcpus, pinning] : pinnings) fmt::print(out, "{}\n", describe(vcpus, pinning));
    fmt::print(out, line, "bench", "size", "backing", "mechanism", "median", "p99", "baseline", "ratio",
               "baseline is");
}

// With what rows of one bench differ in: "ns, 1000 extents".
void print_row(std::ostream& out, const Row& row) {
    const Measurement& measured = row.measured;
    std::string beside = measured.baseline;
    if (measured.ratio == Ratio::baseline_p99_over_ours)
        beside += fmt::format(", p99 {}", microseconds(row.baseline.p99));
    if (auto comma = measured.unit.find(", "); comma != std::string::npos)
        beside += fmt::format(" ({})", measured.unit.substr(comma + 2));
    fmt::print(out, line, measured.bench, format_size(measured.setting.size),
               name_of(measured.setting.backing), name_of(measured.setting.mechanism),
               microseconds(row.ours.median), microseconds(row.ours.p99), microseconds(row.baseline.median),
               fmt::format("{:.2f}", row.ratio()), beside);
    out.flush();
}

JsonObject json_of(const Row& row) {
    const Measurement& measured = row.measured;
    return {{"bench", measured.bench},
            {"size", measured.setting.size},
            {"backing", name_of(measured.setting.backing)},
            {"mechanism", name_of(measured.setting.mechanism)},
            {"unit", measured.unit},
            {"median", row.ours.median},
            {"p99", row.ours.p99},
            {"min", row.ours.min},
            {"max", row.ours.max},
            {"runs", measured.setting.runs},
            {"samples", row.samples.ours},
            {"baseline", measured.baseline},
            {"baseline_median", row.baseline.median},
            {"baseline_p99", row.baseline.p99},
            {"baseline_samples", row.samples.baseline},
            {"ratio", row.ratio()}};
}

JsonObject json_of(const Pinnings& pinnings) {
    JsonObject json = JsonObject::array();
    for (const auto& [vcpus, pinning] : pinnings) {
        json.push_back({{"vcpus", vcpus}});
        json.back().update(gpremap::json_of(pinning));
    }
    return json;
}

std::string describe(const Measurement& measurement) {
    return fmt::format("{} {} {} {}", measurement.bench, format_size(measurement.setting.size),
                       name_of(measurement.setting.backing), name_of(measurement.setting.mechanism));
}

// Writes the table to `out`, row by row. Returns the exit status, 0 or what finish() makes of it. Throws
// ConfigError for an unknown name, before anything runs, and HostLacks, GuestDied or std::system_error as a
// Machine does.
int run_bench(const BenchOptions& options, Provenance provenance, std::ostream& out) {
    check_options(options);
    JsonFile json(options.json);
    require_limits(MemoryConfig().aperture_size);
    const HugePageReservation reservation(options.huge_pages);
    const Settings settings = settings_of(options);
    const HostFacts host = read_host();
    const std::vector<Measurement> measurements =
        Plan(options, settings, host, Kvm().capabilities().pre_fault).chosen(options.names);
    const Pinnings pinnings = pinnings_for(measurements);
    begin(options.sandbox);
    const Interruption interruption;  // after the reservation, which forks
    confine_this_thread(ThreadKind::maker);
    Progress progress(measurements.size(), options.progress);
    JsonObject rows = JsonObject::array();
    print_header(out, host, options.runs, pinnings);
    std::exception_ptr cause;
    try {
        for (const Measurement& measurement : measurements) {
            if (interruption.requested()) break;
            progress.show(describe(measurement));
            const Row row{measurement, measure(measurement, pinnings.at(measurement.setting.vcpus))};
            progress.advance();
            print_row(out, row);
            rows.push_back(json_of(row));
        }
    } catch (...) {
        cause = std::current_exception();
    }
    provenance.after = read_conditions();
    JsonObject result{{"schema", "gpremap.bench/1"},       {"tool", {{"version", GPREMAP_VERSION}}},
                      {"host", gpremap::json_of(host)},    {"pinning", json_of(pinnings)},
                      {"provenance", json_of(provenance)}, {"rows", rows}};
    if (cause) add_cause(result, cause);
    const int status = finish(json, std::move(result), interruption, 0);
    if (cause) std::rethrow_exception(cause);
    return status;
}

}  // namespace

void add_bench(Program& program) {
    CLI::App& verb =
        program.add_verb("bench", "measure calls, each beside what it replaces, in the same run");
    auto options = std::make_shared<BenchOptions>();
    verb.add_option(
        "NAME", options->names,
        fmt::format("the benches, of {}; all of them without it", fmt::join(Plan::benches, ", ")));
    verb.add_option("--runs", options->runs, "how often each is measured (9)")->type_name("N");
    verb.add_option_function<std::string>(
            "--max-size",
            [options](const std::string& text) { options->max_size = size_in("--max-size", text); },
            "the largest size that is measured; without it, what fits this host, up to 4GiB")
        ->type_name("SIZE");
    add_json(verb, options->json);
    add_reservation(verb, options->huge_pages);
    add_sandbox(verb, options->sandbox);
    add_overrides(verb, options->overrides, "each that fits");
    verb.callback([&program, options] {
        program.work = [&program, options] {
            if (program.log.quiet) options->progress = ShowProgress::no;
            return run_bench(*options, provenance_of(program), for_people(options->json, program.log));
        };
    });
}

}  // namespace gpremap
