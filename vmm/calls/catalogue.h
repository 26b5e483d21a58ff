// The catalogue of calls: a row for each, which is all that this program knows of it. Whoever reads calls
// from files, plans them, checks or documents them asks here; nobody else lists calls.
//
// It is also the only place that knows both guest/abi/hypercall.h and remap/.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "guest/abi/agent.h"
#include "remap/personality.h"

namespace gpremap {

// What a successful call means for the names of ranges.
enum class Effect {
    none,
    defines,    // `name` is [result, new_size)
    relocates,  // `source` is now at the result (or at `destination`, for calls that return none)
    unmaps,     // `source` is gone
    exchanges,  // `source` and [destination, source.size) have changed places
};

using Word = std::pair<std::string_view, uint64_t>;  // as files write a flag, and its bits

// A flag that a file sets with `key = true`.
struct Switch {
    enum class Needs { nothing, destination };  // what must be stated beside it
    std::string_view key;
    uint64_t bits = 0;
    Needs needs = Needs::nothing;
};

// A number that a file states under a key of its own, and that goes into an argument's bits.
struct Field {
    std::string_view key;
    unsigned shift = 0;
    uint64_t most = 0;
};

// One argument of a call, in the order of the wire.
struct Parameter {
    enum class Kind { address, size, prot, flags, word, buffer };  // no file states a buffer
    enum class Role { other, source, source_size, destination, new_size };
    enum class Omitted {
        refused,
        otherwise,  // the value is `otherwise`
        follows,    // from the range where ranges have names, else refused
    };

    std::string_view label;  // as in guest/abi/hypercall.h; the key of a case file
    Kind kind = Kind::address;
    Role role = Role::other;
    std::vector<std::string_view> keys = {};  // of a scenario, where a range may have a name
    Omitted omitted = Omitted::refused;
    uint64_t otherwise = 0;

    bool has_flags = false;        // the key `flags` states a list of `words`, or raw bits
    std::vector<Word> words = {};  // of `flags`; of a word, what it may be
    std::vector<Switch> switches = {};
    std::optional<Field> field = {};
    std::optional<uint64_t> needed_without =
        {};  // where ranges have names: needed unless these flags are set
};

// The raw arguments of a call, as they go over the wire.
using RawArguments = std::array<uint64_t, 6>;

struct CallRow {
    enum class Set { native, personality };
    using Planner = remap::Answer (*)(const remap::Space&, const RawArguments&);

    abi::Call number;
    std::string_view verb;  // the step of a scenario, the key of a case
    Set set;
    Planner plan;  // nullptr: it changes nothing, so there is nothing to plan
    std::vector<Parameter> parameters;
    Effect effect = Effect::none;
    bool returns_address = false;

    // Masks of flags. Where they say "with": 0 is always, no value never.
    std::optional<uint64_t> duplicates_with = {};  // leaves its source, so the result gets a name of its own
    bool duplicates_from_nothing = false;          // and so where the size of the source is 0
    std::optional<uint64_t> heeds_destination_with = 0;
    std::optional<uint64_t> gives_back_with = {};  // the host should hold less memory afterwards
    // Without a destination and any of these it stays where it is. No value: the VMM chooses a place.
    std::optional<uint64_t> stays_without = {};
    uint64_t without_destination = 0;  // flags that say that none is stated

    const Parameter* find(Parameter::Role role) const;
    // Of the argument that has this role in `args`, which are in the order of `parameters`.
    std::optional<uint64_t> value(Parameter::Role role, std::span<const uint64_t> args) const;
    // The bits of the argument that flags are part of; 0 without one.
    uint64_t flags(std::span<const uint64_t> args) const;
    bool resizes() const { return find(Parameter::Role::source) && find(Parameter::Role::new_size); }
    // May be one of a batch, and of a case file's native calls.
    bool is_batchable() const { return set == Set::native && plan; }
};

// In the order of their numbers. Without the calls of the agent's control, and without batch, whose
// arguments are calls.
std::span<const CallRow> catalogue();

// nullptr where it has no row.
const CallRow* find_call(abi::Call number);
const CallRow* find_call(std::string_view verb);

// Whether a mask such as `gives_back_with` holds for a call with `flags`.
bool holds(const std::optional<uint64_t>& mask, uint64_t flags);

// Whether the host should hold less memory after such a call.
bool gives_memory_back(abi::Call number, std::span<const uint64_t> args);

// Plans one call that changes the space: native but for query and batch, Linux, NetBSD, UTek.
// ENOSYS for any other number. `args` are the guest's and not trusted.
remap::Answer plan_call(const remap::Space& space, abi::Call number, const RawArguments& args);

abi::ExtentInfo extent_info(const remap::Extent& extent, uint64_t page_size);

}  // namespace gpremap
