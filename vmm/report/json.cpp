#include "vmm/report/json.h"

#include <string>

#include "vmm/calls/words.h"
#include "vmm/config/parameters.h"
#include "vmm/report/move_comparison.h"
#include "vmm/report/statistics.h"
#include "vmm/report/workloads.h"
#include "vmm/scenario/judging.h"

namespace gpremap {

namespace {

JsonObject json_of(const CallRecord& record, const KvmCounts& kvm) {
    return {{"memslot_ioctls", record.syscalls.memslot_ioctls},
            {"mmap", record.syscalls.mmap},
            {"mremap", record.syscalls.mremap},
            {"mprotect", record.syscalls.mprotect},
            {"madvise", record.syscalls.madvise},
            {"fallocate", record.syscalls.fallocate},
            {"copies", record.syscalls.copies},
            {"copied_bytes", record.syscalls.copied_bytes},
            {"deferred_bytes", record.deferred_bytes},
            {"pages_4k", kvm.pages_4k},
            {"pages_2m", kvm.pages_2m},
            {"pages_1g", kvm.pages_1g},
            {"faults", kvm.faults},
            {"tlb_flushes", kvm.tlb_flushes},
            {"exits", kvm.exits}};
}

JsonObject json_of(const std::optional<BesideCall>& beside) {
    if (!beside) return nullptr;
    const auto& costs = beside->costs;
    return {{"vcpus", name_of(beside->others)},
            {"reason", beside->reason},
            {"flushes", beside->flushes},
            {"flush_ns", costs ? JsonObject(costs->flush_ns) : JsonObject(nullptr)},
            {"pause_ns", costs ? JsonObject(costs->pause_ns) : JsonObject(nullptr)}};
}

JsonObject stalls(const CallRecord& record, unsigned vcpus) {
    JsonObject all = JsonObject::object();
    for (unsigned vcpu = 0; vcpu < vcpus; vcpu++) all["vcpu" + std::to_string(vcpu)] = record.stall_ns[vcpu];
    return all;
}

JsonObject json_of(const abi::ExtentInfo& extent) {
    return {{"at", extent.at},
            {"size", extent.size},
            {"prot", prot_name(extent.prot)},
            {"maps_with", page_size_name(extent.page_size)}};
}

JsonObject json_of(const std::optional<abi::Fault>& fault) {
    if (!fault) return nullptr;
    return {{"kind", name_of(fault->kind)}, {"address", fault->address}, {"vcpu", fault->vcpu}};
}

template <typename T>
JsonObject json_of_each(const std::vector<T>& all) {
    JsonObject json = JsonObject::array();
    for (const T& each : all) json.push_back(json_of(each));
    return json;
}

JsonObject json_of(const MachineConfig& machine) {
    const MemoryConfig& memory = machine.memory;
    return {{"vcpus", machine.vcpus},
            {"granule", memory.granule},
            {"backing", name_of(memory.backing)},
            {"mechanism", name_of(memory.mechanism)},
            {"pause", name_of(memory.pause)},
            {"snapshots", name_of(memory.snapshots)},
            {"aperture", {{"base", memory.aperture_base}, {"size", memory.aperture_size}}},
            {"limit", memory.limit},
            {"pool", memory.pool},
            {"pre_fault", memory.pre_fault},
            {"ring", machine.ring}};
}

}  // namespace

JsonObject json_of(const MapEntry& entry) {
    return {{"at", entry.at},
            {"size", entry.size},
            {"prot", prot_name(entry.prot)},
            {"backing", name_of(entry.backing)},
            {"maps_with", page_size_name(remap::stage2::page_size(entry.outlook.largest).bytes)},
            {"pages", gpremap::json_of(entry.outlook)}};
}

JsonObject json_of(const StepResult& step, unsigned vcpus) {
    // A step that is no call made none: no time in it, no system calls, no huge page lost.
    const CallRecord record = step.record.value_or(CallRecord{});
    JsonObject json = {
        {"index", step.index},
        {"call", step.call},
        {"args", step.args},
        {"vcpu", step.vcpu},
        {"expect", step.expect},
        {"begin_ns", step.begin_ns},
        {"end_ns", step.end_ns},
        {"ok", step.ok},
        {"skipped_for", or_null(step.skipped_for)},
        {"result", or_null(step.result)},
        {"errno", or_null(step.error)},
        {"bytes", step.bytes},
        {"call_ns", record.call_ns},
        {"guest_ns", step.guest_ns},
        {"stall_ns", stalls(record, vcpus)},
        {"stage2", json_of(record, step.kvm)},
        {"huge_kept", record.huge_kept},
        {"moved", or_null(step.moved)},
        {"fault", json_of(step.fault)},
        {"mechanism", record.mechanism ? JsonObject(name_of(*record.mechanism)) : JsonObject(nullptr)},
        {"beside", json_of(record.beside)},
        {"host_returned", or_null(step.host_returned)},
        {"pool_bytes", record.pool.taken},
        {"pool_given", record.pool.given},
        {"pre_faulted", record.pre_faulted},
        {"problem", step.ok ? JsonObject(nullptr) : JsonObject(step.problem)}};
    for (const abi::ExtentInfo& extent : step.extents) json["extents"].push_back(json_of(extent));
    if (step.map) json["map"] = json_of_each(*step.map);
    if (step.output) json["output"] = *step.output;
    if (!step.track.empty()) json["track"] = step.track;
    if (!step.label.empty()) json["label"] = step.label;
    return json;
}

JsonObject json_of(const LateCopies::Counts& counts) {
    return {{"deferred", counts.deferred},
            {"awaited", counts.awaited},
            {"in_background", counts.in_background},
            {"dropped", counts.dropped},
            {"copied_bytes", counts.copied_bytes}};
}

JsonObject json_of(const std::vector<MapEntry>& map) {
    return json_of_each(map);
}

JsonObject json_of(const HostFacts& host) {
    return {{"kernel", host.kernel}, {"cpu", host.cpu}, {"mmu", host.mmu}, {"thp", host.thp}};
}

JsonObject json_of(const Pinning& pinning) {
    return {{"cpus", or_null(pinning.cpus)},
            {"host_cpus", or_null(pinning.host_cpus)},
            {"note", or_null(pinning.note)}};
}

JsonObject head_of(const RunResult& run, std::string_view schema) {
    JsonObject provenance = json_of(run.provenance);
    provenance["seeds"] = run.seeds;
    provenance["scenario"] = json_of(run.source);
    return {{"schema", schema},
            {"tool", {{"version", GPREMAP_VERSION}}},
            {"host", json_of(run.host)},
            {"vm", json_of(run.machine)},
            {"pinning", json_of(run.pinning)},
            {"began", utc(run.began)},
            {"parameters", gpremap::json_of(run.parameters)},
            {"provenance", provenance}};
}

JsonObject summary_of(const RunResult& run) {
    return {{"passed", run.passed()}, {"failed", run.failed()}, {"skipped", run.skipped()}};
}

std::string text_of(const RunResult& run, Ended ended) {
    JsonText text;
    auto add_each = [&](std::string_view key, const auto& all) {
        text.add_each(key, all, [](const auto& each) { return json_of(each); });
    };
    const JsonObject head = head_of(run, "gpremap.run/1");
    for (const auto& [key, value] : head.items()) text.add(key, value);
    text.add("clock", json_of(run.clock));
    text.add_each("steps", run.steps,
                  [&](const StepResult& step) { return json_of(step, run.machine.vcpus); });
    add_each("statistics", statistics_of(run.steps));
    add_each("workloads", run.workloads);
    add_each("series", run.series);
    if (run.map_before)
        text.add_each("map_before", *run.map_before, [](const MapEntry& entry) { return json_of(entry); });
    add_each("map", run.map);
    if (run.late_copies.deferred > 0) text.add("late_copies", json_of(run.late_copies));
    add_each("comparisons", compare_moves(run.steps));
    text.add("summary", summary_of(run));
    if (run.soak) text.add("soak", run.soak->json());
    if (run.stage2) text.add("stage2", json_of(*run.stage2));
    if (!run.warnings.empty()) text.add("warnings", run.warnings);
    if (!run.died.empty()) text.add("died", run.died);
    if (!run.host_error.empty()) text.add("host_error", run.host_error);
    if (ended == Ended::interrupted) text.add("interrupted", true);
    return std::move(text).take();
}

}  // namespace gpremap
