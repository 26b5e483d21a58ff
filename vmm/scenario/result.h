// What came of one step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/base/json_file.h"
#include "vmm/kvm/kvm_counts.h"
#include "vmm/memory/caller.h"
#include "vmm/memory/remapper.h"

namespace gpremap {

struct StepResult {
    size_t index = 0;
    std::string call;                          // the step's verb
    std::string summary;                       // its arguments as written
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
};

}  // namespace gpremap
