#include "vmm/run.h"

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <iostream>
#include <ostream>

#include "vmm/errors.h"
#include "vmm/host.h"
#include "vmm/huge_pages.h"
#include "vmm/json_file.h"
#include "vmm/progress.h"
#include "vmm/report.h"
#include "vmm/step_runner.h"
#include "vmm/vm.h"

namespace gpremap {

namespace {

Colour colour_of(const std::ostream& out) {
    return &out == &std::cout && isatty(STDOUT_FILENO) ? Colour::ansi : Colour::none;
}

// How many results the steps will have; a schedule counts as one more than its steps.
size_t count_results(const std::vector<ScenarioStep>& steps) {
    size_t count = 0;
    for (const ScenarioStep& step : steps) {
        if (const auto* repeat = std::get_if<RepeatAction>(&step.action)) {
            count += repeat->times * count_results(repeat->steps);
        } else if (const auto* inflate = std::get_if<InflateAction>(&step.action)) {
            count += inflate->steps + 1;
        } else {
            count++;
        }
    }
    return count;
}

void log_step(const StepResult& step) {
    spdlog::info("step {}: {} {}: {}", step.index, step.call, step.summary,
                 step.ok ? step.outcome : step.problem);
    if (step.record && !step.record->mechanism.empty())
        spdlog::info("step {}: {}: {}", step.index, step.record->mechanism, step.record->mechanism_reason);
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

void warn_of_idle_pool(const MemoryConfig& memory) {
    if (memory.pool > 0 && !can_use_pool(memory.backing))
        spdlog::warn("pool is of anonymous memory: with backing {} it is not used", name_of(memory.backing));
}

void warn_of_idle_pre_fault(const MachineConfig& config, const KvmCapabilities& capabilities) {
    if (config.memory.pre_fault && !capabilities.pre_fault)
        spdlog::warn(
            "pre_fault: this host's KVM cannot (see gpremap doctor); a `touch` step does as much, from "
            "within the guest");
}

StepWatcher watch(StepTable& table, Progress& progress) {
    return {[&](const ScenarioStep& step) { progress.show(fmt::format("{} {}", step.verb, step.summary)); },
            [&](const StepResult& result) {
                progress.advance();
                table.print(result);
                log_step(result);
            },
            [&](const std::vector<MapEntry>& map) {
                progress.clear();
                table.print_map(map);
            }};
}

}  // namespace

int run_scenario(const RunOptions& options, std::ostream& out) {
    const Scenario scenario = read_scenario(options.file, options.overrides);
    JsonFile json(options.json);
    const HugePageReservation reservation(options.huge_pages);
    RunResult run;
    run.host = read_host();
    run.machine = scenario.machine;
    if (scenario.domain) {
        log_domain(*scenario.domain);
        require_host_memory(*scenario.domain, run.host);
    }
    require_huge_pages(scenario.machine.memory);
    warn_of_idle_pool(scenario.machine.memory);

    Machine machine(scenario.machine);
    warn_of_idle_pre_fault(scenario.machine, machine.vm().capabilities());
    StepTable table(out, colour_of(out));
    Progress progress(count_results(scenario.steps), options.progress);
    StepRunner runner(machine, scenario.machine.memory.granule, watch(table, progress));
    auto conclude = [&] {
        progress.clear();
        run.steps = runner.results();
        print_summary(out, run, colour_of(out));
        return json.write(json_of(run), run.failed() == 0 ? 0 : 1);
    };
    try {
        runner.run(scenario.steps);
    } catch (const GuestDied& death) {
        run.died = death.what();
        conclude();
        throw;
    }
    run.map = machine.remapper().map();
    if (options.dump_stage2) run.stage2 = dump_stage2(machine, *options.dump_stage2);
    const int status = conclude();
    if (run.stage2) print_stage2(out, *run.stage2);
    return status;
}

}  // namespace gpremap
