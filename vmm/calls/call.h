// A call as a file states it: its arguments may name ranges, whose place is known only when it is made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/calls/catalogue.h"
#include "vmm/calls/names.h"
#include "vmm/config/toml_reader.h"

namespace gpremap {

// An address or a size as a file states it. Ranges move, and a case file counts in granules, so it has a
// value only when the call is made.
struct Operand {
    enum class Kind {
        number,      // offset and granules
        address_of,  // where `range` begins, plus both (modulo 2^64: "heap-4KiB")
        size_of,     // what of `range` lies behind offset
    };
    Kind kind = Kind::number;
    std::string range;
    uint64_t offset = 0;  // bytes
    TomlPlace place;
    int64_t granules = 0;  // of a case file; in a scenario everything is in bytes
    int64_t more = 0;      // of a size_of: bytes to be added to it ("+64MiB"), or taken off

    bool is_zero() const { return kind == Kind::number && offset == 0 && granules == 0; }

    // Throws ConfigError for a name that no step has defined, and for a size below nothing.
    uint64_t in(const Names& names) const;
};

struct Span {
    Operand at;
    Operand size;
};

struct Argument {
    std::string_view label;
    Operand value;
};

// A hypercall, its arguments in the order of guest/abi/hypercall.h; those that no file states are left out.
struct CallAction {
    abi::Call number = abi::Call::nop;
    std::vector<Argument> args;
    Effect effect = Effect::none;
    std::string name;                    // defines
    std::optional<Span> source;          // where it has one
    std::optional<Operand> destination;  // where one is stated
    Operand new_size;                    // of the result: defines, relocates
};

struct BatchAction {
    std::vector<CallAction> calls;
};

}  // namespace gpremap
