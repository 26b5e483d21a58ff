#include "vmm/control/run_control.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <utility>

#include "vmm/control/protocol.h"
#include "vmm/kvm/vcpu_gate.h"
#include "vmm/kvm/vm.h"
#include "vmm/report/json.h"

namespace gpremap {

namespace {

// Where no workload runs, so that the guest can be given steps between the scenario's own.
std::optional<unsigned> free_vcpu(const Scenario& scenario) {
    for (unsigned vcpu = 0; vcpu < scenario.machine.vcpus; vcpu++)
        if (std::ranges::count(scenario.workloads, vcpu, &Workload::vcpu) == 0) return vcpu;
    return std::nullopt;
}

std::string_view name_of(WorkloadRunner::State state) {
    switch (state) {
        case WorkloadRunner::State::waits_for_range:
            return "waits for its range";
        case WorkloadRunner::State::running:
            return "running";
        case WorkloadRunner::State::stopped:
            return "stopped";
        case WorkloadRunner::State::failed:
            break;
    }
    return "failed";
}

// Throws CallError where the scenario has no such workload.
const std::string& known(const std::string& name, const Scenario& scenario) {
    if (std::ranges::count(scenario.workloads, name, &Workload::name) == 0)
        throw CallError(ErrorCode::no_such, "there is no workload '" + name + "'");
    return name;
}

}  // namespace

// ---- what is asked of the run ----

JsonObject RunControl::stats(const Run& run) const {
    Remapper& remapper = run.machine.remapper();
    uint64_t mapped = 0;
    for (const MapEntry& entry : remapper.map()) mapped += entry.size;
    JsonObject workloads = JsonObject::array();
    for (const auto& each : run.workloads.standings())
        workloads.push_back({{"name", each.name}, {"state", name_of(each.state)}, {"ops", each.ops}});
    const PoolContents pool = remapper.pool();
    return {{"steps", {{"done", done_.load()}, {"failed", failed_.load()}}},
            {"mapped", mapped},
            {"resident", remapper.resident_bytes()},
            {"pool", {{"ready", pool.ready}, {"resident", pool.resident}}},
            {"workloads", workloads}};
}

ControlTarget RunControl::target_of(const Run& run) {
    auto pause = std::make_shared<std::optional<PausedVcpus>>();
    ControlTarget target;
    target.perform = [run](unsigned vcpu, const abi::Step& step) { return run.machine.perform(vcpu, step); };
    target.vcpu = free_vcpu(run.scenario);
    if (run.scenario.machine.guest == GuestKind::linux) {
        target.let_call(GuestCaller(gpremap::target_of(run.machine).memory, target.perform, target.vcpu));
    } else {
        target.let_call(
            HostCaller([run](CallerMemory& memory, abi::Call number, const std::array<uint64_t, 6>& args) {
                return run.machine.remapper().call({memory}, number, args);
            }));
    }
    target.map = [run] { return run.machine.remapper().map(); };
    target.stats = [this, run] { return stats(run); };
    target.companions = &run.workloads;
    target.start_workload = [run](const std::string& name) {
        return run.workloads.start(known(name, run.scenario));
    };
    target.stop_workload = [run](const std::string& name) {
        return run.workloads.stop(known(name, run.scenario));
    };
    target.pause = [run, pause] {
        // A vCPU that repeats a faulting access is to make progress in some seconds: they count anew.
        run.machine.call(abi::Call::nop, {});
        pause->emplace(run.machine.vm().pause_others(VcpuGate::nobody));
    };
    target.resume = [pause] { pause->reset(); };
    target.checkpoint = run.checkpoint;
    target.stop = [run] { run.interruption.ask(SIGTERM); };
    target.is_interrupted = [run] { return run.interruption.requested().has_value(); };
    target.granule = run.scenario.machine.memory.granule;
    return target;
}

// ---- what clients are told ----

void RunControl::watch(StepWatcher& watcher, const Run& run) {
    if (!control_) return;
    watcher.started = [this, &run](RunState& state) {
        state_ = &state;
        control_->begin(target_of(run), state);
    };
    watcher.begins = [this, others = watcher.begins](const StepResult& step) {
        others(step);
        tell_begin(step);
    };
    watcher.done = [this, others = watcher.done](const StepResult& step) {
        tell_end(step);
        others(step);
    };
}

void RunControl::tell_begin(const StepResult& step) {
    control_->tell("begun",
                   {{"by", "step"}, {"step", step.index}, {"call", step.call}, {"summary", step.summary}});
}

void RunControl::tell_end(const StepResult& step) {
    (step.ok ? done_ : failed_)++;
    JsonObject done = {{"by", "step"},
                       {"step", step.index},
                       {"call", step.call},
                       {"begin_ns", step.begin_ns},
                       {"end_ns", step.end_ns},
                       {"ok", step.ok},
                       {"errno", or_null(step.error)},
                       {"result", or_null(step.result)},
                       {"bytes", step.bytes}};
    if (step.record) done["call_ns"] = step.record->call_ns;
    control_->tell("done", done);
    if (step.fault)
        control_->tell("fault", {{"step", step.index},
                                 {"access", gpremap::name_of(step.fault->kind)},
                                 {"address", step.fault->address},
                                 {"vcpu", step.fault->vcpu}});
}

void RunControl::tell(const WorkloadSeries& rows) {
    if (!control_ || rows.t_ns.empty()) return;
    uint64_t ops = 0, bytes = 0;
    for (const uint64_t each : rows.ops) ops += each;
    for (const uint64_t each : rows.bytes) bytes += each;
    control_->tell("sample", {{"workload", rows.workload},
                              {"first_ns", rows.t_ns.front()},
                              {"last_ns", rows.t_ns.back()},
                              {"ops", ops},
                              {"bytes", bytes},
                              {"max_ns", *std::ranges::max_element(rows.max_ns)}});
}

// ---- from the first step to the end ----

void RunControl::do_steps(const std::function<void()>& steps, After after, const Run& run) {
    if (!control_) return steps();
    std::exception_ptr cause;
    try {
        steps();
        if (after == After::stay) stay(run);
    } catch (...) {
        cause = std::current_exception();
    }
    control_->end();
    if (cause) std::rethrow_exception(cause);
}

void RunControl::stay(const Run& run) {
    spdlog::info("the steps are done; the machine stays until `gpremap ctl SOCKET stop`");
    const auto vcpu = free_vcpu(run.scenario);
    control_->wait_for_stop([&] {
        run.interruption.check();
        // Where nobody is at work, nobody else would notice that the guest has died.
        const auto turn = state_->floor().alone([&] { return run.interruption.requested().has_value(); });
        if (turn && vcpu) run.machine.guest().require_idle(*vcpu);
    });
}

}  // namespace gpremap
