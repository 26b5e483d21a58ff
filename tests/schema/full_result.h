// The result of a run that has all there can be: what has no place in it is neither documented nor in a schema.
#pragma once

#include "vmm/report/run_result.h"

namespace gpremap {

inline RunResult full_result() {
    RunResult run;
    StepResult move, copy;
    move.moved = true;
    move.track = move.label = "one";
    move.fault = abi::Fault{};
    move.record.emplace().mechanism = Mechanism::window;
    move.extents.emplace_back().page_size = 4096;
    move.map = std::vector<MapEntry>(1);
    copy.call = "copy";
    copy.skipped_for = 0;
    move.bytes = copy.bytes = move.guest_ns = copy.guest_ns = 4096;
    run.steps = {move, copy};
    run.map.emplace_back();
    run.map_before = run.map;
    run.late_copies = {.deferred = 8ull << 20, .in_background = 4ull << 20, .copied_bytes = 4096};
    run.stage2.emplace().first_entries = {1, std::nullopt};
    run.stage2->format = "EPT";
    run.stage2->sizes.assign(remap::stage2::usual_pages.begin(), remap::stage2::usual_pages.end());
    WorkloadResult& workload = run.workloads.emplace_back();
    workload.does = "touch";
    workload.range = "heap";
    workload.asked_per_s = 1;
    workload.events.emplace_back();
    workload.values["n"] = 0.5;
    workload.histogram = {{10, 20}, {1, 0}, {0, 2}};
    workload.ok = false;
    run.workloads.emplace_back().does = "jitter";
    run.series = {{"writer", 1, {10}, {2}, {16}, {5}}};
    run.pinning = {{{1}}, {{0, 2}}, "so"};
    run.source.overrides = {Backing::anon, Mechanism::window, 4096, 0};
    run.provenance.revision = "unknown";
    run.provenance.command = {"gpremap"};
    run.provenance.before = {"performance", {{0.5, 1, 2}}, 3, {{"cpu", Pressure()}, {"io", std::nullopt}}};
    run.host.mmu = "npt";
    run.warnings = {"one"};
    run.soak.emplace(std::chrono::seconds(0)).add_round(1, true, {{1 << 20, 4, 50, 0}, 2});
    run.died = "so";
    run.host_error = "so";
    return run;
}

}  // namespace gpremap
