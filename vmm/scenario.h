// A scenario: a VM and the steps that its guest does, read from TOML and checked as a whole before
// anything runs. configs/quickstart.toml shows the format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "guest/abi.h"
#include "vmm/libvirt/domain.h"
#include "vmm/machine.h"
#include "vmm/names.h"
#include "vmm/toml_reader.h"

namespace gpremap {

// An address or a size that a step states. Ranges move, so it has a value only when the step runs.
struct Operand {
    enum class Kind {
        number,      // offset
        address_of,  // where `range` begins, plus offset (modulo 2^64: "heap-4KiB")
        size_of,     // what of `range` lies behind offset
    };
    Kind kind = Kind::number;
    std::string range;
    uint64_t offset = 0;  // bytes
    TomlPlace place;

    // Throws ConfigError for a name that no step has defined.
    uint64_t in(const Names& names) const;
};

struct Span {
    Operand at;
    Operand size;
};

// ---- what a step does ----

// What a successful call means for the names of ranges.
enum class Effect {
    none,
    defines,    // `name` is [result, new_size)
    relocates,  // `source` is now at the result (or at `destination`, for calls that return none)
    unmaps,     // `source` is gone
    exchanges,  // `source` and [destination, source.size) have changed places
};

struct Argument {
    std::string_view label;
    Operand value;
};

// A hypercall, its arguments in the order of guest/abi.h.
struct CallAction {
    abi::Call number = abi::Call::nop;
    std::vector<Argument> args;
    Effect effect = Effect::none;
    std::string name;                    // defines
    std::optional<Span> source;          // all but map
    std::optional<Operand> destination;  // where one is stated
    Operand new_size;                    // of the result: defines, relocates
};

// Calls in one batch of a scenario: the agent keeps them in what its mailbox's page has left.
inline constexpr size_t max_scenario_batch = 32;

struct BatchAction {
    std::vector<CallAction> calls;
};

struct PatternAction {
    enum class What { fill, verify };
    What what = What::fill;
    Span span;
    abi::Pattern pattern = abi::Pattern::byte;
    uint64_t value = 0;  // the byte, or the stamp's seed
};

struct TouchAction {
    Span span;
    abi::FaultKind kind = abi::FaultKind::read;
};

struct CopyAction {
    Span from;
    Operand to;
};

struct AccessAction {
    Operand at;
    abi::FaultKind kind = abi::FaultKind::read;
    uint64_t value = 0;  // stored
};

// Calls the code at `at`. With `through`, writes `mov eax, returns; ret` there first.
struct ExecAction {
    Operand at;
    std::optional<Operand> through;
    std::optional<uint32_t> returns;
};

struct SleepAction {
    double seconds = 0;
};

// Prints the map.
struct CheckpointAction {};

// Resizes `range` from `from` to `to` bytes, in `steps` equal steps spread over `seconds`.
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
    std::optional<int64_t> error;  // errno
    std::optional<Operand> at;     // the address returned
    std::optional<ExpectedFault> fault;
    std::optional<bool> moved;

    bool success() const { return !error && !fault; }
};

struct ScenarioStep {
    std::string verb;
    std::string summary;  // the arguments as written
    TomlPlace place;
    unsigned vcpu = 0;
    TomlPlace vcpu_place;  // where it is stated
    Expect expect;
    std::variant<CallAction, BatchAction, PatternAction, TouchAction, CopyAction, AccessAction, ExecAction,
                 SleepAction, CheckpointAction, InflateAction, RepeatAction>
        action;
};

struct Scenario {
    std::string file;
    MachineConfig machine;
    std::vector<ScenarioStep> steps;
    // Where it describes the VM; the first steps then map its memory.
    std::optional<VmDomain> domain;

    // With those inside of `repeat`, each counted once.
    size_t count_steps() const;
};

// What the command line says in place of the file.
struct Overrides {
    std::optional<Backing> backing;
    std::optional<Mechanism> mechanism;
    std::optional<uint64_t> granule;    // bytes
    std::optional<uint64_t> pool = {};  // bytes
};

// The file is TOML, or a libvirt domain with the scenario in its metadata. Throw ConfigError with one line
// for each thing that is wrong; HostLacks where there is a domain, and this build has no libvirt.
Scenario read_scenario(const std::string& path, const Overrides& overrides = {});
// For text that stands in no file; `name` takes the file's place in messages.
Scenario parse_scenario(std::string_view text, const std::string& name, const Overrides& overrides = {});

// As scenarios and the command line write them: "hugetlb-2M", "window".
std::string_view name_of(Backing backing);
std::string_view name_of(Mechanism mechanism);
// "rwx", "r"; "none" for no access.
std::string prot_name(uint64_t prot);

}  // namespace gpremap
