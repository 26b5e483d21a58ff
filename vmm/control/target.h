// What requests are carried out on: a run's machine, or a test's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/base/json_file.h"
#include "vmm/control/callers.h"
#include "vmm/memory/remapper.h"
#include "vmm/vcpus/performed.h"
#include "vmm/workloads/companions.h"

namespace gpremap {

// Called by the threads of calls and of jobs, each of them one at a time, but for `stop`, which any thread calls.
struct ControlTarget {
    // What clients ask for, by one of vmm/control/callers.h.
    MakeCall call;
    MakeBatch batch;
    void let_call(const auto& caller) {
        call = [caller](const abi::BatchCall& each) { return caller.call(each); };
        batch = [caller](std::span<const abi::BatchCall> calls) { return caller.batch(calls); };
    }
    // A step of the guest's, on a vCPU that has none to do while the steps' ranges are ours. Throws GuestDied.
    std::function<Performed(unsigned vcpu, const abi::Step& step)> perform;
    std::optional<unsigned> vcpu;  // for such steps; nothing where workloads have all
    std::function<std::vector<MapEntry>()> map;
    std::function<JsonObject()> stats;  // of the machine
    Companions* companions = nullptr;
    // Each returns why it cannot: empty where it could. CallError where there is no such workload.
    std::function<std::string(const std::string& workload)> start_workload;
    std::function<std::string(const std::string& workload)> stop_workload;
    // By the thread of calls alone: until resume(), no vCPU is in the guest.
    std::function<void()> pause;
    std::function<void()> resume;
    // Writes what there is so far; an empty path stands for the run's own. Returns the path. Throws CallError.
    std::function<std::string(const std::string& file)> checkpoint;
    std::function<void()> stop;  // the steps, in order
    std::function<bool()> is_interrupted;
    uint64_t granule = 4096;  // bytes, of ranges
};

}  // namespace gpremap
