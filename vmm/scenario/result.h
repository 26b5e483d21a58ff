// What came of one step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/base/json_file.h"
#include "vmm/kvm/kvm_counts.h"
#include "vmm/memory/caller.h"
#include "vmm/memory/remapper.h"

namespace gpremap {

struct StepResult {
    size_t index = 0;
    size_t row = 0;    // which of the scenario's steps it is of, from 0, those inside of `repeat` counted
    size_t turns = 1;  // how many results that step has
    std::string call;  // the step's verb
    std::string arguments;                     // as written
    std::string summary;                       // of this turn
    JsonObject args = JsonObject::object();    // as passed: bytes and addresses
    JsonObject expect = JsonObject::object();  // what it states, addresses as passed
    unsigned vcpu = 0;
    std::string track, label;  // as stated; empty where they are not
    // By the host's clock, since the run's first step began.
    uint64_t begin_ns = 0;
    uint64_t end_ns = 0;

    bool ok = true;
    // It was not done, for the step with this index has failed, which would have made a range that it needs.
    std::optional<size_t> skipped_for;
    std::string problem;               // where not ok: what was expected, what came instead
    std::string outcome;               // in words, for the table
    std::optional<uint64_t> result;    // what a call returned that is no error
    std::optional<std::string> error;  // the name of the errno
    std::optional<bool> moved;
    std::optional<abi::Fault> fault;  // that it has ended in, expected or not

    uint64_t bytes = 0;  // that the step is about
    uint64_t guest_ns = 0;
    std::optional<CallRecord> record;          // of calls
    KvmCounts kvm;                             // of the whole VM
    std::optional<uint64_t> host_returned;     // bytes that the host has back, measured there
    std::vector<abi::ExtentInfo> extents;      // of a query
    std::optional<std::vector<MapEntry>> map;  // of a checkpoint
    std::optional<std::string> output;         // of a command: the end of what it has written
};

// Something that is measured of a step, under the name that files have for it.
struct StepMetric {
    enum class Of { call, guest_work, call_that_gives_back };
    std::string_view name;
    Of of = Of::call;
    bool is_bytes = false;
    double (*value)(const StepResult& step) = nullptr;  // of a step that has it; times in us
};

}  // namespace gpremap
