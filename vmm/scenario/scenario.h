// A scenario: a VM and the steps that its guest does. configs/quickstart.toml shows the format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/calls/call.h"
#include "vmm/config/machine_config.h"
#include "vmm/libvirt/domain.h"
#include "vmm/scenario/result.h"
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

// Calls the code at `at`. With `through`, writes code that returns `returns` there first.
struct ExecAction {
    static constexpr uint64_t code = 6;  // bytes, at least: order::code_returning
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

// Until something is so far, or a time has passed; then it fails.
struct WaitAction {
    std::vector<Span> accesses() const { return {}; }

    std::optional<uint64_t> pool;  // bytes that the warm pool has ready
    std::string workload;          // with `ops`: operations that it has done
    uint64_t ops = 0;
    double timeout = 60;  // seconds
    TomlPlace place;      // of what it waits for
};

// ---- steps of a Linux guest ----

// Memory that the guest adds to its System RAM. It is the kernel's then, and no range of the scenario.
struct PlugAction {
    std::vector<Span> accesses() const { return {}; }

    uint64_t size = 0;  // bytes
    std::string name;
    TomlPlace place;
};

// The other way round, from the end.
struct UnplugAction {
    std::vector<Span> accesses() const { return {}; }

    std::string name;              // of a plug
    std::optional<uint64_t> size;  // bytes; all that is left of it
    double within = 10;            // seconds
    bool partly = false;           // less than all of it will do
    TomlPlace place;
};

// Has the guest's shell run something.
struct CommandAction {
    std::vector<Span> accesses() const { return {}; }

    std::string run;
    std::optional<int64_t> status = 0;  // expected; none: any
    bool background = false;            // it runs until all other tracks have ended
    TomlPlace place;
};

// Resizes `range` along a schedule: `inflate`, and `resize` with its shapes. Where it has another size than
// `from` before, the first of the points starts from there.
struct ResizeAction {
    struct Point {
        double due = 0;     // seconds since the schedule began
        uint64_t size = 0;  // bytes; it is rounded down to the granule
        unsigned line = 0;  // of the trace
    };
    Operand range;
    uint64_t from = 0;  // bytes, as is `to`; both are 0 of a trace
    uint64_t to = 0;
    std::string trace;  // the file that has the points; empty for a shape
    std::vector<Point> points;
    std::optional<uint64_t> seed;  // of random sizes
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

// What a number must be: `stated` is as in the file, 3 or "<=2".
struct Bound {
    enum class Is { less, at_most, more, at_least, equal, different };
    Is is = Is::equal;
    double than = 0;
    JsonObject stated;
};

// A bound of something measured: of each turn of the step, or of all of them together.
struct ExpectedBound {
    const StepMetric* metric = nullptr;
    std::string_view of;  // "median", "p99", "min" or "max" of all turns; empty: each
    Bound bound;
};

// What a step must end in. Without a statement of an error or a fault, it must succeed.
struct Expect {
    std::optional<int64_t> error;  // errno; of a schedule: its last resize ends in it, any other may
    std::optional<Operand> at;     // the address returned
    std::optional<ExpectedFault> fault;
    std::optional<bool> moved;
    std::optional<uint64_t> read;  // the word that a load finds
    std::optional<bool> huge_kept;
    std::vector<ExpectedBound> bounds;

    bool success() const { return !error && !fault; }
};

struct ScenarioStep {
    std::string verb;
    std::string summary;  // the arguments as written
    TomlPlace place;
    unsigned vcpu = 0;
    TomlPlace vcpu_place;            // where it is stated; line 0 where it is not
    double at = 0;                   // seconds since the run began, before which it does not begin
    std::optional<double> deadline;  // seconds in which the guest must have done it
    std::string track;               // runs beside the others; empty: the main one, or one of its own
    TomlPlace track_place;
    std::string label;  // empty where it has none
    TomlPlace label_place;
    std::string during;  // the label of the step that it begins with, on a track of its own; empty: none
    TomlPlace during_place;
    // Of its track, from 0, the main one: assign_tracks numbers them.
    size_t track_number = 0;
    Expect expect;
    std::variant<CallAction, BatchAction, PatternAction, TouchAction, CopyAction, AccessAction, ExecAction,
                 SleepAction, CheckpointAction, WaitAction, PlugAction, UnplugAction, CommandAction,
                 ResizeAction, RepeatAction>
        action;
};

inline bool is_background(const ScenarioStep& step) {
    const auto* command = std::get_if<CommandAction>(&step.action);
    return command && command->background;
}

struct Scenario {
    std::string file;
    MachineConfig machine;
    std::optional<double> deadline;               // seconds in which the run must be over
    std::vector<ParameterAssignment> parameters;  // as used
    std::vector<ScenarioStep> steps;
    std::vector<Workload> workloads;
    // Where it describes the VM; the first steps then map its memory.
    std::optional<VmDomain> domain;
};

}  // namespace gpremap
