// `gpremap run`: has a guest do the steps of a scenario, and says what came of them.
#include <fmt/format.h>
#include <fmt/ostream.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "vmm/base/deadline.h"
#include "vmm/base/errors.h"
#include "vmm/base/interruption.h"
#include "vmm/base/output_file.h"
#include "vmm/base/progress.h"
#include "vmm/base/terminal.h"
#include "vmm/base/text_file.h"
#include "vmm/base/units.h"
#include "vmm/control/protocol.h"
#include "vmm/control/run_control.h"
#include "vmm/guests/linux/linux_image.h"
#include "vmm/host/conditions.h"
#include "vmm/host/facts.h"
#include "vmm/host/huge_page_account.h"
#include "vmm/host/placement.h"
#include "vmm/host/process_limits.h"
#include "vmm/host/processors.h"
#include "vmm/kvm/vm.h"
#include "vmm/report/json.h"
#include "vmm/report/live_view.h"
#include "vmm/report/rerun.h"
#include "vmm/report/stage2_dump.h"
#include "vmm/report/table.h"
#include "vmm/report/workload_table.h"
#include "vmm/report/workloads.h"
#include "vmm/sandbox/sandbox.h"
#include "vmm/scenario/reading.h"
#include "vmm/scenario/step_runner.h"
#include "vmm/verbs/huge_page_reservation.h"
#include "vmm/verbs/options.h"
#include "vmm/verbs/run_files.h"
#include "vmm/verbs/verb.h"
#include "vmm/watch/server.h"
#include "vmm/workloads/runner.h"

namespace gpremap {

namespace {

struct RunOptions {
    std::string file;  // or:
    std::string from;  // a result whose scenario is run again
    Overrides overrides;
    std::string json;                                  // where the result goes, too; empty: nowhere
    std::string watch;                                 // where its page is served; empty: nowhere
    std::string control;                               // the path of the socket; empty: none
    RunControl::After after = RunControl::After::end;  // the last step
    std::string csv;                                   // where the workloads' series go; empty: nowhere
    std::optional<TableFormat> dump_stage2;            // as entries of that format, after the steps
    HugePagesWanted huge_pages;  // that the host's pool has more for the time of the run
    Sandbox sandbox = Sandbox::on;
    std::optional<std::chrono::duration<double>> soak;  // how long the steps are done again and again
    OnFailure on_failure = OnFailure::go_on;
    ShowProgress progress = ShowProgress::yes;  // on standard error, where that is a terminal
};

void log_beside(uint64_t step, const BesideCall& beside) {
    spdlog::info("step {}: other vCPUs {}: {} ({} flushes)", step, name_of(beside.others), beside.reason,
                 beside.flushes);
    if (beside.costs)
        spdlog::info("step {}: measured beside these vCPUs: a TLB flush {} ns, a pause {} ns", step,
                     beside.costs->flush_ns, beside.costs->pause_ns);
}

void log_step(const StepResult& step) {
    spdlog::info("step {}: {} {}: {}", step.index, step.call, step.summary,
                 step.ok ? step.outcome : step.problem);
    if (step.record && step.record->mechanism)
        spdlog::info("step {}: {}: {}", step.index, name_of(*step.record->mechanism),
                     step.record->mechanism_reason);
    if (step.record && step.record->beside) log_beside(step.index, *step.record->beside);
    spdlog::debug("step {}: {} ns in the guest; second-stage faults {}, TLB flushes {}", step.index,
                  step.guest_ns, step.kvm.faults, step.kvm.tlb_flushes);
}

void log_domain(const VmDomain& domain) {
    for (const std::string& ignored : domain.ignored) spdlog::info("{}", ignored);
}

// Before anything is started: the host would kill something instead of saying so.
void require_host_memory(const VmDomain& domain, const HostFacts& host) {
    if (domain.mapped() <= host.memory_total) return;
    throw HostLacks(
        fmt::format("{}: the domain begins with {} KiB of memory, and this host has {} KiB: lower "
                    "<memory> or <currentMemory>",
                    domain.file, domain.mapped() >> 10, host.memory_total >> 10));
}

void warn_of_idle_pre_fault(const MachineConfig& config, const KvmCapabilities& capabilities) {
    if (config.memory.pre_fault && !capabilities.pre_fault)
        spdlog::warn(
            "pre_fault: this host's KVM cannot (see gpremap doctor); a `touch` step does as much, from "
            "within the guest");
}

// Once the VM is gone, which is made after it: warns where the host's pool of huge pages has not all back.
class WarnOfLostHugePages {
  public:
    explicit WarnOfLostHugePages(const MemoryConfig& memory) : account_(huge_page_of(memory.backing)) {}
    ~WarnOfLostHugePages() {
        if (auto difference = account_.difference()) spdlog::warn("{}", *difference);
    }
    WarnOfLostHugePages(const WarnOfLostHugePages&) = delete;
    WarnOfLostHugePages& operator=(const WarnOfLostHugePages&) = delete;

  private:
    const HugePageAccount account_;
};

// Throws Interrupted before a step, where one is asked for, and GuestDied where the deadline has passed.
StepWatcher watch(StepTable& table, LiveView& view, const Interruption& interruption,
                  const std::optional<Deadline>& deadline, const RunResult& run) {
    return {[&](const StepResult& step) {
                interruption.check();
                if (deadline) deadline->check();
                view.begin(fmt::format("{} {}", step.call, step.summary));
            },
            [&](std::chrono::duration<double> duration) {
                interruption.sleep(duration);
                interruption.check();
                if (deadline) deadline->check();
            },
            [&](const StepResult& result) {
                if (!run.soak || run.soak->is_first_round()) view.advance();
                if (!run.soak || run.soak->is_first_round() || !result.ok) table.print(result);
                log_step(result);
            },
            [&](const std::vector<MapEntry>& map) {
                view.clear();
                table.print_map(map);
            }};
}

// The main thread, when all that it has to make is there.
void confine_when_started(StepWatcher& watcher) {
    watcher.started = [others = watcher.started](RunState& state) {
        if (others) others(state);
        confine_this_thread(ThreadKind::main);
    };
}

// What is to be run: the file that is named, or what a result was a run of. Options stand in place of both.
ScenarioSource source_of(const RunOptions& options) {
    if (options.from.empty()) return {options.file, read_text(options.file), options.overrides};
    ScenarioSource source = read_rerun(options.from);
    auto prefer = [](auto& of_result, const auto& option) {
        if (option) of_result = option;
    };
    prefer(source.overrides.backing, options.overrides.backing);
    prefer(source.overrides.mechanism, options.overrides.mechanism);
    prefer(source.overrides.granule, options.overrides.granule);
    prefer(source.overrides.pool, options.overrides.pool);
    for (const ParameterSetting& set : options.overrides.parameters) {
        std::erase_if(source.overrides.parameters, [&](const auto& each) { return each.name == set.name; });
        source.overrides.parameters.push_back(set);
    }
    return source;
}

// What a host says of itself, and has to have, before a VM is made of its memory.
void look_at_host(const Scenario& scenario, RunResult& run) {
    run.host = read_host();
    for (auto* warn_of : {warn_of_large_limit, warn_of_large_aperture})
        if (auto warning = warn_of(scenario.machine.memory)) run.warnings.push_back(*warning);
    if (scenario.domain) {
        log_domain(*scenario.domain);
        require_host_memory(*scenario.domain, run.host);
    }
    require_huge_pages(scenario.machine.memory);
    require_limits(scenario.machine.memory.aperture_size);
    if (run.pinning.note) spdlog::warn("{}", *run.pinning.note);
}

void note_workloads(const WorkloadRunner& workloads, RunResult& run) {
    run.workloads = workloads.results();
    run.series = workloads.series();
    run.clock = workloads.clock();
}

// The scenario, and what of the run is known by it.
Scenario read_scenario(const RunOptions& options, const Program& program, RunResult& run) {
    run.provenance = provenance_of(program);
    run.source = source_of(options);
    Scenario scenario = parse_scenario(run.source.text, run.source.file, run.source.overrides);
    run.machine = scenario.machine;
    run.parameters = scenario.parameters;
    for (const Workload& workload : scenario.workloads) run.seeds[workload.name] = workload.seed;
    run.pinning = choose_pinning(run.machine.placement, run.machine.vcpus, usable_processors());
    return scenario;
}

// As it is now.
void note_memory(RunResult& run, Machine& machine) {
    run.map = machine.remapper().map();
    run.late_copies = machine.remapper().late_copies();
}

// Writes what there is of the run, as if it had been interrupted now. Returns the path. Throws CallError.
std::string write_checkpoint(const std::string& file, const RunOptions& options, RunResult so_far,
                             const StepRunner& runner, const WorkloadRunner& workloads, Machine& machine) {
    if (file.empty() && (options.json.empty() || options.json == "-"))
        throw CallError(ErrorCode::bad_arguments,
                        "missing file: the run has no --json FILE that it could be");
    so_far.steps = runner.results();
    so_far.workloads = workloads.results_so_far();
    so_far.series = workloads.series();
    so_far.clock = workloads.clock();
    note_memory(so_far, machine);
    try {
        const OutputFile output("checkpoint", file.empty() ? options.json : file);
        const auto problem = output.write(text_of(so_far, Ended::interrupted));
        if (problem) throw CallError(ErrorCode::not_written, *problem);
    } catch (const ConfigError& error) {
        throw CallError(ErrorCode::not_written, error.what());
    }
    return file.empty() ? options.json : file;
}

// What a host that has just refused something still lets happen; the journal has been written meanwhile.
template <typename Conclude>
void conclude_if_possible(Conclude conclude) {
    try {
        conclude();
    } catch (const std::exception& error) {
        spdlog::error("the result is not written: {}; the journal beside it has what was done", error.what());
    }
}

// That of the whole run.
std::optional<Deadline> deadline_of(const Scenario& scenario, const StepTarget& target) {
    if (!scenario.deadline) return std::nullopt;
    return std::optional<Deadline>(
        std::in_place, *scenario.deadline,
        fmt::format("the run was not over within {} s, vm.deadline", *scenario.deadline), target.stop);
}

// What a run has around it, before the machine.
struct Surroundings {
    RunFiles& files;
    RunControl& control;
    std::optional<LoopbackListener>& listener;
    Interruption& interruption;
};

// Does the steps once, or again and again until the time is over or one of them has failed.
void do_rounds(StepRunner& runner, const std::vector<Order>& timeline, Machine& machine,
               std::optional<std::chrono::duration<double>> longest, RunResult& run) {
    if (!longest) return runner.run(timeline);
    run.soak.emplace(*longest);
    const auto are_ok = [&] { return std::ranges::all_of(runner.results(), &StepResult::ok); };
    Soak::Held held;
    do {
        runner.run(timeline);
        if (const auto left = machine.remapper().map(); !left.empty())
            throw ConfigError(
                fmt::format("--for: the steps leave {} mapped at {:#x}, so that they cannot be done again: "
                            "unmap it at the end",
                            format_size(left.front().size), left.front().at));
        const MemoryConfig& memory = run.machine.memory;
        held = {read_footprint(), machine.vm()
                                      .slots_in(remap::Range::of(remap::Gpa{memory.aperture_base},
                                                                 remap::Size{memory.aperture_size}))
                                      .size()};
    } while (run.soak->add_round(timeline.size(), are_ok(), held));
}

// Has the machine do the steps. Throws GuestDied, and what the host refuses, when what ran until then has been written
// to `out` and to the files.
int follow(const Scenario& scenario, const RunOptions& options, Machine& machine, Surroundings around,
           RunResult& run, std::ostream& out) {
    RunFiles& files = around.files;
    const Colour colour = colour_for(descriptor_of(out));
    StepTable table(out, colour, columns_for(descriptor_of(out)));
    const std::vector<Order> timeline = timeline_of(scenario.steps, scenario.machine.memory.granule);
    LiveView view(timeline.size(), options.progress);
    Onlookers onlookers(machine, files, view);
    WorkloadRunner workloads(machine, scenario.workloads, [&](const WorkloadSeries& rows) {
        onlookers.add(rows);
        around.control.tell(rows);
    });
    StepTarget target = target_of(machine);
    const std::optional<Deadline> deadline = deadline_of(scenario, target);
    StepWatcher watcher = watch(table, view, around.interruption, deadline, run);
    onlookers.watch(watcher, run.machine.vcpus);
    RunControl::Run steered = {scenario, machine, workloads, around.interruption, {}};
    around.control.watch(watcher, steered);
    confine_when_started(watcher);
    StepRunner runner(std::move(target), watcher, &workloads, options.on_failure);
    steered.checkpoint = [&](const std::string& file) {
        return write_checkpoint(file, options, run, runner, workloads, machine);
    };
    auto conclude = [&] {
        view.clear();
        table.print_unfinished();
        run.steps = runner.results();
        run.map_before = onlookers.map_before();
        note_workloads(workloads, run);
        run.provenance.after = read_conditions();
        print_workloads(out, run.workloads, colour);
        print_summary(out, run, colour);
        return files.finish(run, around.interruption);
    };
    run.began = std::chrono::system_clock::now();
    files.begin(run);
    const std::optional<PageServer> page = serve_page(around.listener, files);  // an older journal is gone
    try {
        around.control.do_steps([&] { do_rounds(runner, timeline, machine, options.soak, run); },
                                options.after, steered);
        workloads.finish();
    } catch (const Interrupted&) {
        workloads.finish();
        note_memory(run, machine);
        return conclude();
    } catch (const GuestDied& death) {
        run.died = death.what();
        conclude();
        throw;
    } catch (const std::exception& error) {
        run.host_error = error.what();
        conclude_if_possible(conclude);
        throw;
    }
    note_memory(run, machine);
    if (options.dump_stage2) run.stage2 = dump_stage2(machine, *options.dump_stage2);
    const int status = conclude();
    if (run.stage2) print_stage2(out, *run.stage2);
    return status;
}

// Checks the whole scenario, boots the VM, does the steps and writes the table of them to `out`. A step
// that fails stops only those after it that need a range which it would have made. Returns the exit status: 0
// where every step was as expected, 1 otherwise; that of an interruption, after the step in which it came. Throws
// ConfigError, before anything runs; HostLacks; and as follow() does.
int run_scenario(const RunOptions& options, const Program& program, std::ostream& out) {
    RunResult run;
    const Scenario scenario = read_scenario(options, program, run);
    if (options.dump_stage2) check_granule(*options.dump_stage2, scenario.machine.memory.granule);
    std::optional<LoopbackListener> listener;
    if (!options.watch.empty()) listener = listen_on_loopback(options.watch);
    RunFiles files(options.json, options.csv, listener ? RunFiles::Followed::yes : RunFiles::Followed::no);
    RunControl control(options.control);
    const HugePageReservation reservation(options.huge_pages);
    look_at_host(scenario, run);
    MachineConfig config = scenario.machine;
    const LinuxImage image(config);

    begin(options.sandbox);
    const RunOn host_cpus(run.pinning.host_cpus);  // before all threads: they have it from this one
    Interruption interruption;  // before the vCPUs' threads, and after the reservation, which forks
    const WarnOfLostHugePages warning_of_lost(scenario.machine.memory);
    Machine machine(config, run.pinning.cpus.value_or(std::vector<unsigned>()));
    warn_of_idle_pre_fault(scenario.machine, machine.vm().capabilities());
    return follow(scenario, options, machine, {files, control, listener, interruption}, run, out);
}

void check_usage(const RunOptions& options) {
    if (options.file.empty() == options.from.empty())
        throw ConfigError(options.file.empty() ? "run: expected a SCENARIO, or --from RESULT"
                                               : "run: expected a SCENARIO or --from RESULT, not both");
    if (options.after == RunControl::After::stay && options.control.empty())
        throw ConfigError("--stay: expected --control SOCKET beside it, by which the run can be ended");
    if (options.soak && !options.control.empty())
        throw ConfigError("--for: a run that is steered ends by itself; expected no --control beside it");
    if (options.json == "-" && options.csv == "-")
        throw ConfigError("--csv -: standard output has the JSON; expected a file");
}

}  // namespace

void add_run(Program& program) {
    CLI::App& verb =
        program.add_verb("run", "boot a VM, have its guest do the steps of a scenario, and report");
    auto options = std::make_shared<RunOptions>();
    verb.add_option("SCENARIO", options->file,
                    "a TOML file, such as configs/quickstart.toml, or a libvirt domain; - is standard input");
    verb.add_option("--from", options->from,
                    "in place of SCENARIO: run again what this result is of, with its options")
        ->type_name("RESULT");
    add_json(verb, options->json);
    verb.add_option("--csv", options->csv, "write the workloads' series to this file; - is standard output")
        ->type_name("FILE");
    verb.add_option(
            "--watch", options->watch,
            "serve a page that shows the run as it goes on, at an address of this host alone, such as "
            "127.0.0.1:0 (a port that is free), which is said on standard error")
        ->type_name("ADDRESS");
    verb.add_option("--control", options->control,
                    "listen on this socket, which is made, for `gpremap ctl` and the like")
        ->type_name("SOCKET");
    verb.add_flag_callback(
        "--stay", [options] { options->after = RunControl::After::stay; },
        "after the last step, keep the machine until `gpremap ctl SOCKET stop`");
    verb.add_option_function<double>(
            "--for", [options](double seconds) { options->soak = std::chrono::duration<double>(seconds); },
            "do the steps again and again for this time, such as 8h, and see whether anything grows; they "
            "are to "
            "leave nothing mapped")
        ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"min", 60}, {"h", 3600}},
                                          CLI::AsNumberWithUnit::UNIT_REQUIRED))
        ->check(CLI::NonNegativeNumber)
        ->type_name("TIME");
    add_reservation(verb, options->huge_pages);
    add_sandbox(verb, options->sandbox);
    add_overrides(verb, options->overrides, "what the file says");
    add_parameters(verb, options->overrides);
    add_pool(verb, options->overrides);
    add_guest(verb, options->overrides);
    verb.add_flag_callback(
        "--fail-fast", [options] { options->on_failure = OnFailure::skip_the_rest; },
        "after the first step that fails, skip the rest");
    // The format may be left out, so it takes an equals sign: what follows a space is the scenario.
    auto format = std::make_shared<std::string>();
    verb.add_flag("--dump-stage2{auto}", *format,
                  "afterwards, print the second-stage table, as this host's entries, or ept, arm, arm-16k or "
                  "arm-64k ones, and what KVM says of it")
        ->check(CLI::IsMember(table_formats));
    verb.callback([&program, options, format] {
        if (!format->empty()) options->dump_stage2 = table_formats.at(*format);
        program.work = [&program, options] {
            if (program.log.quiet) options->progress = ShowProgress::no;
            check_usage(*options);
            const bool csv_is_output = options->csv == "-";
            return run_scenario(*options, program,
                                for_people(csv_is_output ? "-" : options->json, program.log));
        };
    });
}

}  // namespace gpremap
