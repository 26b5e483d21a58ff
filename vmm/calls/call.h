// A call as a file states it: its arguments may name ranges, whose place is known only when it is made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/calls/names.h"
#include "vmm/config/toml_reader.h"

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

// A hypercall, its arguments in the order of guest/abi/hypercall.h.
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

}  // namespace gpremap
