// A scenario: a VM and the steps that its guest does. configs/quickstart.toml shows the format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/calls/call.h"
#include "vmm/config/machine_config.h"
#include "vmm/libvirt/domain.h"
#include "vmm/workloads/workload.h"

namespace gpremap {

// ---- what a step does ----
//
// `accesses` are the places that it reads, writes or executes: they must be mapped, and what they name must be
// there. A call says the same by its arguments.

struct PatternAction {
    std::vector<Span> accesses() const { return {span}; }

    enum class What { fill, verify };
    What what = What::fill;
    Span span;
    abi::Pattern pattern = abi::Pattern::byte;
    uint64_t value = 0;  // the byte, or the stamp's seed
};

struct TouchAction {
    std::vector<Span> accesses() const { return {span}; }

    Span span;
    abi::FaultKind kind = abi::FaultKind::read;
};

struct CopyAction {
    std::vector<Span> accesses() const { return {from, {to, from.size}}; }

    Span from;
    Operand to;
};

struct AccessAction {
    static constexpr uint64_t word = 8;
    std::vector<Span> accesses() const { return {{at, {Operand::Kind::number, "", word, {}}}}; }

    Operand at;
    abi::FaultKind kind = abi::FaultKind::read;
    uint64_t value = 0;  // stored
};

// Calls the code at `at`. With `through`, writes `mov eax, returns; ret` there first.
struct ExecAction {
    static constexpr uint64_t code = 6;  // mov eax, imm32; ret
    std::vector<Span> accesses() const {
        std::vector<Span> all{{at, {Operand::Kind::number, "", code, {}}}};
        if (through) all.push_back({*through, {Operand::Kind::number, "", code, {}}});
        return all;
    }

    Operand at;
    std::optional<Operand> through;
    std::optional<uint32_t> returns;
};

struct SleepAction {
    std::vector<Span> accesses() const { return {}; }

    double seconds = 0;
};

// Prints the map.
struct CheckpointAction {
    std::string label;  // empty where there is none

    std::vector<Span> accesses() const { return {}; }
};

// Resizes `range` from `from` to `to` bytes, in `steps` equal steps spread over `seconds`. Where it has another
// size before, the first of the steps starts from there.
struct InflateAction {
    Operand range;
    uint64_t from = 0;
    uint64_t to = 0;
    double seconds = 0;
    unsigned steps = 1;
};

struct ScenarioStep;

struct RepeatAction {
    unsigned times = 1;
    std::vector<ScenarioStep> steps;
};

struct ExpectedFault {
    abi::FaultKind kind = abi::FaultKind::read;
    std::optional<Operand> address;
};

// What a step must end in. Without a statement of an error or a fault, it must succeed.
struct Expect {
    std::optional<int64_t> error;  // errno; of a schedule: its last resize ends in it, any other may
    std::optional<Operand> at;     // the address returned
    std::optional<ExpectedFault> fault;
    std::optional<bool> moved;
    std::optional<uint64_t> read;  // the word that a load finds

    bool success() const { return !error && !fault; }
};

struct ScenarioStep {
    std::string verb;
    std::string summary;  // the arguments as written
    TomlPlace place;
    unsigned vcpu = 0;
    TomlPlace vcpu_place;  // where it is stated; line 0 where it is not
    double at = 0;         // seconds since the run began, before which it does not begin
    std::string track;     // runs beside the others; empty: the main one, or one of its own
    TomlPlace track_place;
    std::string label;  // empty where it has none
    TomlPlace label_place;
    std::string during;  // the label of the step that it begins with, on a track of its own; empty: none
    TomlPlace during_place;
    // Of its track, from 0, the main one: assign_tracks numbers them.
    size_t track_number = 0;
    Expect expect;
    std::variant<CallAction, BatchAction, PatternAction, TouchAction, CopyAction, AccessAction, ExecAction,
                 SleepAction, CheckpointAction, InflateAction, RepeatAction>
        action;
};

struct Scenario {
    std::string file;
    MachineConfig machine;
    std::vector<ParameterAssignment> parameters;  // as used
    std::vector<ScenarioStep> steps;
    std::vector<Workload> workloads;
    // Where it describes the VM; the first steps then map its memory.
    std::optional<VmDomain> domain;
};

}  // namespace gpremap
