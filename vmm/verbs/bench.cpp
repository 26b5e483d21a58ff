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
#include "vmm/host/conditions.h"
#include "vmm/host/facts.h"
#include "vmm/host/placement.h"
#include "vmm/host/process_limits.h"
#include "vmm/host/processors.h"
#include "vmm/kvm/kvm.h"
#include "vmm/report/json.h"
#include "vmm/results/comparison.h"
#include "vmm/results/comparison_table.h"
#include "vmm/results/reading.h"
#include "vmm/sandbox/sandbox.h"
#include "vmm/verbs/bench_rows.h"
#include "vmm/verbs/huge_page_reservation.h"
#include "vmm/verbs/options.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

namespace {

struct BenchOptions {
    BenchChoice choice;
    std::string base;            // an earlier result, to be compared with; empty: none
    std::string json;            // where the result goes, too; empty: nowhere
    HugePagesWanted huge_pages;  // that the host's pool has more for the time of the run
    Sandbox sandbox = Sandbox::on;
    ShowProgress progress = ShowProgress::yes;
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

// Times in us; sizes as such, and what is above the largest that was tried as ">16MiB".
std::string shown(const Measurement& measured, uint64_t value) {
    if (!measured.unit.starts_with("bytes")) return microseconds(value);
    const uint64_t most = measured.setting.size;
    return value > most ? ">" + format_size(most) : format_size(value);
}

constexpr std::string_view line = "{:<10} {:>7} {:<10} {:<9} {:>9} {:>9} {:>9} {:>7}  {}\n";

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
        beside += fmt::format(", p99 {}", shown(measured, row.baseline.p99));
    if (auto comma = measured.unit.find(", "); comma != std::string::npos)
        beside += fmt::format(" ({})", measured.unit.substr(comma + 2));
    fmt::print(out, line, measured.bench, format_size(measured.setting.size),
               name_of(measured.setting.backing), name_of(measured.setting.mechanism),
               shown(measured, row.ours.median), shown(measured, row.ours.p99),
               shown(measured, row.baseline.median), fmt::format("{:.2f}", row.ratio()), beside);
    out.flush();
}

// What makes it the same as a row of another run.
JsonObject identity_of(const Measurement& measured) {
    return {{"bench", measured.bench},
            {"size", measured.setting.size},
            {"backing", name_of(measured.setting.backing)},
            {"mechanism", name_of(measured.setting.mechanism)},
            {"unit", measured.unit}};
}

JsonObject json_of(const Row& row) {
    const Measurement& measured = row.measured;
    JsonObject json = identity_of(measured);
    json.update({{"median", row.ours.median},
                 {"p99", row.ours.p99},
                 {"min", row.ours.min},
                 {"max", row.ours.max},
                 {"runs", measured.setting.runs},
                 {"samples", row.samples.ours},
                 {"baseline", measured.baseline},
                 {"baseline_median", row.baseline.median},
                 {"baseline_p99", row.baseline.p99},
                 {"baseline_samples", row.samples.baseline},
                 {"ratio", row.ratio()}});
    return json;
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

// ---- beside an earlier run ----

// Throws ConfigError where it is no result of a bench, or has none of these rows.
std::vector<MeasuredRun> read_base(const std::string& path, const std::vector<Measurement>& measurements) {
    constexpr std::string_view schemas[] = {bench_schema};
    std::vector<MeasuredRun> base = read_runs(path, schemas);
    for (const Measurement& measurement : measurements)
        for (const Metric& metric : base.front().metrics)
            if (metric.name == name_of_bench_row(identity_of(measurement))) return base;
    throw ConfigError(fmt::format("{}: expected a result with rows that this run measures, too", path));
}

// As `diff` does it. Returns the exit status.
int compare_with(const std::vector<MeasuredRun>& base, const JsonObject& result, std::ostream& out) {
    const JudgementOptions options;
    const ResultComparison comparison = compare(base, runs_of(result, "this run"), options);
    warn_of_other_hosts(comparison);
    print(comparison, options, out);
    return comparison.has_slower() ? 1 : 0;
}

// ---- the whole ----

// Until all are measured, or something fails: then `cause` is set, and the rows are those before it.
JsonObject measure_all(const std::vector<Measurement>& measurements, const Pinnings& pinnings,
                       const Interruption& interruption, ShowProgress shown, std::ostream& out,
                       std::exception_ptr& cause) {
    Progress progress(measurements.size(), shown);
    JsonObject rows = JsonObject::array();
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
    return rows;
}

// Writes the table to `out`, row by row. Returns the exit status: 0; 1 where something is slower than in the earlier
// run; or what finish() makes of it. Throws ConfigError for an unknown name or an earlier run of no use, before anything
// is measured, and HostLacks, GuestDied or std::system_error as a Machine does.
int run_bench(const BenchOptions& options, Provenance provenance, std::ostream& out) {
    check_choice(options.choice);
    JsonFile json(options.json);
    require_limits(MemoryConfig().aperture_size);
    const HugePageReservation reservation(options.huge_pages);
    const HostFacts host = read_host();
    const std::vector<Measurement> measurements =
        measurements_of(options.choice, host, Kvm().capabilities().pre_fault);
    std::optional<std::vector<MeasuredRun>> base;
    if (!options.base.empty()) base = read_base(options.base, measurements);
    const Pinnings pinnings = pinnings_for(measurements);
    begin(options.sandbox);
    const Interruption interruption;  // after the reservation, which forks
    confine_this_thread(ThreadKind::maker);
    print_header(out, host, options.choice.runs, pinnings);
    std::exception_ptr cause;
    JsonObject rows = measure_all(measurements, pinnings, interruption, options.progress, out, cause);
    provenance.after = read_conditions();
    JsonObject result{{"schema", "gpremap.bench/1"},       {"tool", {{"version", GPREMAP_VERSION}}},
                      {"host", gpremap::json_of(host)},    {"pinning", json_of(pinnings)},
                      {"provenance", json_of(provenance)}, {"rows", std::move(rows)}};
    if (cause) add_cause(result, cause);
    const bool is_whole = !cause && !interruption.requested();
    const int status = base && is_whole ? compare_with(*base, result, out) : 0;
    const int written = finish(json, std::move(result), interruption, status);
    if (cause) std::rethrow_exception(cause);
    return written;
}

}  // namespace

void add_bench(Program& program) {
    CLI::App& verb =
        program.add_verb("bench", "measure calls, each beside what it replaces, in the same run");
    auto options = std::make_shared<BenchOptions>();
    verb.add_option("NAME", options->choice.names,
                    fmt::format("the benches, of {}; all of them without it", fmt::join(bench_names, ", ")));
    verb.add_option("--runs", options->choice.runs, "how often each is measured (9)")->type_name("N");
    verb.add_option_function<std::string>(
            "--max-size",
            [options](const std::string& text) { options->choice.max_size = size_in("--max-size", text); },
            "the largest size that is measured; without it, what fits this host, up to 4GiB")
        ->type_name("SIZE");
    verb.add_option("--compare", options->base,
                    "an earlier result, BASE: say what is faster or slower than there, as diff does")
        ->type_name("BASE");
    add_json(verb, options->json);
    add_reservation(verb, options->huge_pages);
    add_sandbox(verb, options->sandbox);
    add_overrides(verb, options->choice.overrides, "each that fits");
    verb.callback([&program, options] {
        program.work = [&program, options] {
            if (program.log.quiet) options->progress = ShowProgress::no;
            return run_bench(*options, provenance_of(program), for_people(options->json, program.log));
        };
    });
}

}  // namespace gpremap
