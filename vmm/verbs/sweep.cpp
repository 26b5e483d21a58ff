// `gpremap sweep`: runs all combinations of a scenario's parameters, each in a process of its own.
#include "vmm/sweep/sweep.h"

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iosfwd>
#include <iostream>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <string>

#include "vmm/base/errors.h"
#include "vmm/base/interruption.h"
#include "vmm/base/progress.h"
#include "vmm/sweep/program_run.h"
#include "vmm/verbs/options.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

namespace {

constexpr unsigned most_repetitions = 1000;  // where nothing but the precision ends them

struct SweepOptions {
    std::string file;
    std::string folder;
    Overrides overrides;
    SweepLimits limits;
    std::optional<unsigned> repeat;
    std::optional<uint64_t> seed;
    bool list = false;
    Sandbox sandbox = Sandbox::on;
    ShowProgress progress = ShowProgress::yes;
};

void check_options(SweepOptions& options) {
    options.limits.repeat = options.repeat.value_or(options.limits.precision ? most_repetitions : 1);
    if (options.limits.repeat == 0) throw ConfigError("--repeat: expected 1 or more");
    if (!options.limits.metric.empty() && !options.limits.precision)
        throw ConfigError("--metric: expected --precision with it");
    options.limits.seed = options.seed.value_or(std::random_device()());
}

void make_folder(const std::string& folder) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error || access(folder.c_str(), W_OK | X_OK) != 0)
        throw ConfigError(fmt::format("-o {}: expected a folder that can be written to: {}", folder,
                                      error ? error.message() : "permission denied"));
}

// One command a result, all repetitions of a combination after each other.
void list(const SweepPlan& plan, const SweepLimits& limits, std::ostream& out) {
    for (size_t i = 0; i < plan.combinations.size(); i++) {
        if (limits.only && *limits.only != i) continue;
        for (unsigned repetition = 0; repetition < limits.repeat; repetition++)
            fmt::print(out, "{}\n", shell_line(plan.command(i, plan.result(i, repetition))));
    }
}

void print(const SweepOutcome& outcome, const SweepPlan& plan, std::ostream& out) {
    for (const SweptCombination& each : outcome.combinations) {
        fmt::print(out, "{:>4} {}: {} run{}{}", each.index, described(plan.combinations[each.index]),
                   each.runs, each.runs == 1 ? "" : "s",
                   each.failed ? fmt::format(", {} failed", each.failed) : "");
        if (each.samples > 0)
            fmt::print(out, "; {}: median {:.6g} ({:.6g} ... {:.6g}), n = {}", each.metric, each.median,
                       each.interval.low, each.interval.high, each.samples);
        fmt::print(out, "\n");
    }
    fmt::print(out, "results are in {}\n", plan.folder);
}

// Runs what is left of the sweep, and prints a row for each combination. Returns the worst exit status of its runs;
// that of an interruption, after the run in which it came. Throws ConfigError, before anything runs.
int sweep(SweepOptions& options, std::ostream& out) {
    check_options(options);
    const std::string program = std::filesystem::read_symlink("/proc/self/exe");
    SweepPlan plan = read_sweep(options.file, options.overrides, program, options.folder);
    if (options.sandbox == Sandbox::off) plan.options.push_back("--no-sandbox");
    if (options.limits.only && *options.limits.only >= plan.combinations.size())
        throw ConfigError(
            fmt::format("--index {}: expected 0 to {}", *options.limits.only, plan.combinations.size() - 1));
    if (options.list) {
        list(plan, options.limits, out);
        return 0;
    }
    make_folder(plan.folder);
    const Interruption interruption;
    const size_t chosen = options.limits.only ? 1 : plan.combinations.size();
    fmt::print(out, "{} combination{}, seed {}\n", chosen, chosen == 1 ? "" : "s", options.limits.seed);
    out.flush();
    Progress progress(chosen * (options.limits.warmup + options.limits.repeat), options.progress);
    const SweepEvents events{
        [&](size_t index, const std::string& what) {
            progress.show(fmt::format("{}: {}", what, described(plan.combinations[index])));
        },
        [&](size_t index, const std::string& what, int status) {
            progress.advance();
            if (status != 0)
                spdlog::error("combination {}, {}, {}: exit status {}", index,
                              described(plan.combinations[index]), what, status);
        },
        [&] { return interruption.requested().has_value(); }};
    const SweepOutcome outcome = run_sweep(plan, options.limits, events, run_program);
    progress.clear();
    print(outcome, plan, out);
    if (const auto signal = interruption.requested()) {
        spdlog::warn("{}: the same command again does what is left", strsignal(*signal));
        return exit_status_of(*signal);
    }
    if (!outcome.is_complete) spdlog::warn("--budget is used up: the same command again does what is left");
    constexpr int internal_error = 5;  // also a run that a signal has ended
    return std::min(outcome.status, internal_error);
}

void add_limits(CLI::App& verb, const std::shared_ptr<SweepOptions>& options) {
    SweepLimits& limits = options->limits;
    verb.add_option("--repeat", options->repeat, "how often each combination is run (1)")->type_name("N");
    verb.add_option("--warmup", limits.warmup, "runs of each combination before, whose results are not kept")
        ->type_name("K");
    verb.add_option_function<std::string>(
            "--precision",
            [options](const std::string& text) { options->limits.precision = share_in("--precision", text); },
            "repeat until the 95 % interval of the metric's median is within it, such as 2%")
        ->type_name("SHARE");
    verb.add_option(
            "--metric", limits.metric,
            "the metric that is to be precise, by its name in `diff`; without it, the first of a result")
        ->type_name("NAME");
    verb.add_option_function<double>(
            "--budget",
            [options](double seconds) { options->limits.budget = std::chrono::duration<double>(seconds); },
            "begin no run after this time, such as 10min")
        ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"min", 60}, {"h", 3600}},
                                          CLI::AsNumberWithUnit::UNIT_REQUIRED))
        ->check(CLI::NonNegativeNumber)
        ->type_name("TIME");
}

}  // namespace

void add_sweep(Program& program) {
    CLI::App& verb = program.add_verb(
        "sweep", "run all combinations of a scenario's parameters, each in a process of its own");
    auto options = std::make_shared<SweepOptions>();
    verb.add_option("SCENARIO", options->file, "a scenario with lists in [parameters] or [sweep]")
        ->required();
    verb.add_option("-o,--output", options->folder,
                    "where the results go; those that are there are not made again")
        ->required()
        ->type_name("DIR");
    add_limits(verb, options);
    verb.add_option("--seed", options->seed, "of the order of runs; without it, another each time")
        ->type_name("N");
    verb.add_flag("--list", options->list,
                  "print a command for each run, which stands alone, and run nothing");
    verb.add_option("--index", options->limits.only,
                    "only this combination, from 0, such as $SLURM_ARRAY_TASK_ID")
        ->type_name("I");
    add_sandbox(verb, options->sandbox);
    add_overrides(verb, options->overrides, "what the file says");
    add_pool(verb, options->overrides);
    add_parameters(verb, options->overrides);
    verb.callback([&program, options] {
        program.work = [&program, options] {
            if (program.log.quiet) options->progress = ShowProgress::no;
            return sweep(*options, std::cout);
        };
    });
}

}  // namespace gpremap
