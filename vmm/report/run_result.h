// What came of a run: all that its table and its JSON say.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/config/machine_config.h"
#include "vmm/host/facts.h"
#include "vmm/host/placement.h"
#include "vmm/memory/remapper.h"
#include "vmm/report/provenance.h"
#include "vmm/report/soak.h"
#include "vmm/report/stage2_dump.h"
#include "vmm/scenario/result.h"
#include "vmm/workloads/result.h"

namespace gpremap {

struct RunResult {
    Provenance provenance;
    ScenarioSource source;
    std::vector<ParameterAssignment> parameters;  // of the scenario, as used
    JsonObject seeds = JsonObject::object();      // of what was chosen at random, by name
    HostFacts host;
    MachineConfig machine;
    Pinning pinning;
    std::chrono::system_clock::time_point began;  // its first step
    ClockFacts clock;
    std::vector<StepResult> steps;
    std::vector<WorkloadResult> workloads;
    std::vector<WorkloadSeries> series;
    LateCopies::Counts late_copies;
    std::optional<std::vector<MapEntry>> map_before;  // before the first call that changes what is mapped
    std::vector<MapEntry> map;
    std::optional<Stage2Dump> stage2;   // where it was asked for
    std::vector<std::string> warnings;  // of what the user may not have meant
    std::optional<Soak> soak;           // where the steps were done again and again
    std::string died;                   // the guest's last words; empty where it lived
    std::string host_error;             // what the host refused, which ended the run; else empty

    size_t passed() const {
        return static_cast<size_t>(
            std::ranges::count_if(steps, [](const StepResult& step) { return step.ok; }));
    }
    // Because of one that failed: so there is none where none did.
    size_t skipped() const {
        return static_cast<size_t>(std::ranges::count_if(
            steps, [](const StepResult& step) { return step.skipped_for.has_value(); }));
    }
    size_t failed() const { return steps.size() - passed() - skipped(); }
    bool is_as_expected() const {
        return failed() == 0 && (!soak || soak->grown().empty()) &&
               std::ranges::all_of(workloads, [](const auto& workload) { return workload.ok; });
    }
};

}  // namespace gpremap
