#include "vmm/calls/catalogue.h"

#include <algorithm>

#include "remap/linux.h"
#include "remap/native.h"
#include "remap/netbsd.h"
#include "remap/utek.h"

namespace gpremap {
namespace {

namespace native = remap::native;
namespace linux_calls = remap::linux_calls;
namespace netbsd = remap::netbsd;
namespace utek = remap::utek;

// The wire and the core use the same numbers, so that they can be passed on as they are.
static_assert(GPREMAP_FLAG_ANYWHERE == native::flag::anywhere && GPREMAP_FLAG_HINT == native::flag::hint &&
              GPREMAP_FLAG_REPLACE == native::flag::replace &&
              GPREMAP_FLAG_KEEP_HOLES == native::flag::keep_holes &&
              GPREMAP_FLAG_MAY_MOVE == native::flag::may_move &&
              GPREMAP_FLAG_SHARED == native::flag::shared && GPREMAP_PROT_PREVIOUS == native::prot_previous);
static_assert(GPREMAP_PROT_READ == remap::readable.bits && GPREMAP_PROT_WRITE == remap::writable.bits &&
              GPREMAP_PROT_EXEC == remap::executable.bits);
static_assert(GPREMAP_LINUX_MREMAP_MAYMOVE == linux_calls::mremap_maymove &&
              GPREMAP_LINUX_MREMAP_FIXED == linux_calls::mremap_fixed &&
              GPREMAP_LINUX_MREMAP_DONTUNMAP == linux_calls::mremap_dontunmap &&
              GPREMAP_LINUX_MAP_SHARED == linux_calls::map_shared &&
              GPREMAP_LINUX_MAP_PRIVATE == linux_calls::map_private &&
              GPREMAP_LINUX_MAP_FIXED == linux_calls::map_fixed &&
              GPREMAP_LINUX_MAP_ANONYMOUS == linux_calls::map_anonymous &&
              GPREMAP_LINUX_MAP_FIXED_NOREPLACE == linux_calls::map_fixed_noreplace &&
              GPREMAP_LINUX_MADV_DONTNEED == linux_calls::madv_dontneed &&
              GPREMAP_LINUX_MADV_REMOVE == linux_calls::madv_remove &&
              GPREMAP_LINUX_MADV_POPULATE_WRITE == linux_calls::madv_populate_write);
static_assert(GPREMAP_NETBSD_MAP_FIXED == netbsd::map_fixed &&
              GPREMAP_NETBSD_MAP_REMAPDUP == netbsd::map_remapdup &&
              GPREMAP_NETBSD_MAP_ALIGNMENT_SHIFT == netbsd::map_alignment_shift &&
              GPREMAP_NETBSD_MAP_ALIGNMENT_MASK == netbsd::map_alignment_mask);
static_assert(GPREMAP_UTEK_RELEASE_ZFILL == utek::release_zfill && GPREMAP_UTEK_PREVIOUS == utek::previous);
static_assert(GPREMAP_EMCOLLIDE == static_cast<int64_t>(remap::Errno::emcollide) &&
              GPREMAP_EMRANGE == static_cast<int64_t>(remap::Errno::emrange));

// ---- planners: from the raw arguments to a function of the core that takes as many as it needs ----

template <auto function>
struct Unpacked;

template <typename... Raw, remap::Answer (*function)(const remap::Space&, Raw...)>
struct Unpacked<function> {
    static remap::Answer plan(const remap::Space& space, const RawArguments& args) {
        return [&]<size_t... i>(std::index_sequence<i...>) {
            return function(space, args[i]...);
        }
        (std::index_sequence_for<Raw...>());
    }
};

template <auto function>
constexpr CallRow::Planner plan = Unpacked<function>::plan;

template <native::Which which, native::Value value>
remap::Answer set_attribute(const remap::Space& space, uint64_t at, uint64_t len) {
    return native::set_attribute(space, at, len, which, value);
}

// ---- arguments that many calls have ----

using Kind = Parameter::Kind;
using Role = Parameter::Role;
using Omitted = Parameter::Omitted;
using Set = CallRow::Set;
using Keys = std::vector<std::string_view>;

constexpr uint64_t read_write = GPREMAP_PROT_READ | GPREMAP_PROT_WRITE;

Parameter source(std::string_view label, Keys keys) {
    return {.label = label, .role = Role::source, .keys = std::move(keys)};
}

Parameter source_size(std::string_view label, Keys keys) {
    return {.label = label,
            .kind = Kind::size,
            .role = Role::source_size,
            .keys = std::move(keys),
            .omitted = Omitted::follows};
}

Parameter new_size(std::string_view label, Keys keys, Omitted omitted = Omitted::refused) {
    return {.label = label, .kind = Kind::size, .role = Role::new_size, .keys = keys, .omitted = omitted};
}

Parameter destination(std::string_view label, Keys keys, Omitted omitted = Omitted::otherwise) {
    return {.label = label, .role = Role::destination, .keys = std::move(keys), .omitted = omitted};
}

Parameter prot(std::optional<uint64_t> otherwise) {
    return {.label = "prot",
            .kind = Kind::prot,
            .keys = {"prot"},
            .omitted = otherwise ? Omitted::otherwise : Omitted::refused,
            .otherwise = otherwise.value_or(0)};
}

// Flags that a file sets one by one, under keys of their own.
Parameter switches(std::vector<Switch> switches) {
    return {.label = "flags",
            .kind = Kind::flags,
            .omitted = Omitted::otherwise,
            .switches = std::move(switches)};
}

// Flags that a file lists under `flags`; `otherwise` without that key.
Parameter flags(std::vector<Word> words, uint64_t otherwise = 0) {
    return {.label = "flags",
            .kind = Kind::flags,
            .omitted = Omitted::otherwise,
            .otherwise = otherwise,
            .has_flags = true,
            .words = std::move(words)};
}

Parameter with_flags(Parameter parameter, std::vector<Word> words) {
    parameter.has_flags = true;
    parameter.words = std::move(words);
    return parameter;
}

// ---- rows ----

// (at, len) and no more.
CallRow on_range(abi::Call number, std::string_view verb, CallRow::Planner plan) {
    return {.number = number,
            .verb = verb,
            .set = Set::native,
            .plan = plan,
            .parameters = {source("at", {"range", "at"}), source_size("len", {"size", "len"})}};
}

template <native::Which which, native::Value value>
CallRow attribute(abi::Call number, std::string_view verb) {
    return on_range(number, verb, plan<set_attribute<which, value>>);
}

// alias and snapshot
CallRow duplicate(abi::Call number, std::string_view verb, CallRow::Planner plan) {
    return {.number = number,
            .verb = verb,
            .set = Set::native,
            .plan = plan,
            .parameters = {source("from", {"range", "from", "at"}), destination("to", {"to"}),
                           source_size("len", {"size", "len"}), prot(GPREMAP_PROT_PREVIOUS), switches({})},
            .effect = Effect::defines,
            .returns_address = true,
            .without_destination = GPREMAP_FLAG_ANYWHERE};
}

// Linux's calls on (addr, len), and what else they have.
CallRow on_linux_range(abi::Call number, std::string_view verb, CallRow::Planner plan,
                       std::vector<Parameter> more = {}) {
    CallRow row{.number = number,
                .verb = verb,
                .set = Set::personality,
                .plan = plan,
                .parameters = {source("addr", {"range", "addr", "at"}), source_size("len", {"size", "len"})}};
    row.parameters.insert(row.parameters.end(), more.begin(), more.end());
    return row;
}

CallRow with_effect(CallRow row, Effect effect) {
    row.effect = effect;
    return row;
}

CallRow giving_back(CallRow row) {
    row.gives_back_with = 0;
    return row;
}

std::vector<CallRow> native_rows() {
    using Call = abi::Call;
    using native::Value;
    using native::Which;
    return {
        {.number = Call::map,
         .verb = "map",
         .set = Set::native,
         .plan = plan<native::map>,
         .parameters = {destination("at", {"at"}), new_size("len", {"size", "len"}), prot(read_write),
                        switches({{"hint", GPREMAP_FLAG_HINT, Switch::Needs::destination},
                                  {"shared", GPREMAP_FLAG_SHARED}})},
         .effect = Effect::defines,
         .returns_address = true,
         .without_destination = GPREMAP_FLAG_ANYWHERE},
        giving_back(with_effect(on_range(Call::unmap, "unmap", plan<native::unmap>), Effect::unmaps)),
        {.number = Call::move,
         .verb = "move",
         .set = Set::native,
         .plan = plan<native::move>,
         .parameters = {source("from", {"range", "from", "at"}), destination("to", {"to"}),
                        source_size("len", {"size", "len"}),
                        switches(
                            {{"replace", GPREMAP_FLAG_REPLACE}, {"keep_holes", GPREMAP_FLAG_KEEP_HOLES}})},
         .effect = Effect::relocates,
         .returns_address = true,
         .without_destination = GPREMAP_FLAG_ANYWHERE},
        {.number = Call::grow,
         .verb = "grow",
         .set = Set::native,
         .plan = plan<native::grow>,
         .parameters = {source("at", {"range", "at"}), source_size("len", {"size", "len"}),
                        new_size("new_len", {"new_size", "new_len"}),
                        switches({{"may_move", GPREMAP_FLAG_MAY_MOVE}})},
         .effect = Effect::relocates,
         .returns_address = true,
         .stays_without = GPREMAP_FLAG_MAY_MOVE},
        {.number = Call::shrink,
         .verb = "shrink",
         .set = Set::native,
         .plan = plan<native::shrink>,
         .parameters = {source("at", {"range", "at"}), source_size("len", {"size", "len"}),
                        new_size("new_len", {"new_size", "new_len"})},
         .effect = Effect::relocates,
         .returns_address = true,
         .stays_without = 0},
        duplicate(Call::alias, "alias", plan<native::alias>),
        {.number = Call::protect,
         .verb = "protect",
         .set = Set::native,
         .plan = plan<native::protect>,
         .parameters = {source("at", {"range", "at"}), source_size("len", {"size", "len"}),
                        prot(std::nullopt)}},
        giving_back(on_range(Call::release, "release", plan<native::release>)),
        {.number = Call::query,
         .verb = "query",
         .set = Set::native,
         .plan = nullptr,
         .parameters = {source("at", {"range", "at"}),
                        source_size("len", {"size", "len"}),
                        {.label = "buffer", .kind = Kind::buffer},
                        {.label = "capacity", .kind = Kind::buffer}}},
        {.number = Call::exchange,
         .verb = "exchange",
         .set = Set::native,
         .plan = plan<native::exchange>,
         .parameters = {source("a", {"a"}), destination("b", {"b"}, Omitted::refused),
                        source_size("len", {"size", "len"})},
         .effect = Effect::exchanges},
        duplicate(Call::snapshot, "snapshot", plan<native::snapshot>),
        attribute<Which::sealed, Value::on>(Call::seal, "seal"),
        attribute<Which::locked, Value::on>(Call::lock, "lock"),
        attribute<Which::locked, Value::off>(Call::unlock, "unlock"),
        attribute<Which::pinned, Value::on>(Call::pin, "pin"),
        attribute<Which::pinned, Value::off>(Call::unpin, "unpin"),
    };
}

std::vector<CallRow> linux_rows() {
    using Call = abi::Call;
    return {
        {.number = Call::linux_mremap,
         .verb = "linux",
         .set = Set::personality,
         .plan = plan<linux_calls::mremap>,
         .parameters = {source("old", {"range", "old"}), source_size("old_size", {"old_size"}),
                        new_size("new_size", {"new_size"}, Omitted::follows),
                        flags({{"MAYMOVE", GPREMAP_LINUX_MREMAP_MAYMOVE},
                               {"FIXED", GPREMAP_LINUX_MREMAP_FIXED},
                               {"DONTUNMAP", GPREMAP_LINUX_MREMAP_DONTUNMAP}}),
                        destination("new", {"new", "to"})},
         .effect = Effect::relocates,
         .returns_address = true,
         .duplicates_from_nothing = true,
         .heeds_destination_with = GPREMAP_LINUX_MREMAP_FIXED | GPREMAP_LINUX_MREMAP_DONTUNMAP,
         .stays_without = GPREMAP_LINUX_MREMAP_MAYMOVE},
        {.number = Call::linux_mmap,
         .verb = "linux_mmap",
         .set = Set::personality,
         .plan = plan<linux_calls::mmap>,
         .parameters = {destination("addr", {"addr", "at"}), new_size("len", {"size", "len"}),
                        prot(read_write),
                        flags({{"SHARED", GPREMAP_LINUX_MAP_SHARED},
                               {"PRIVATE", GPREMAP_LINUX_MAP_PRIVATE},
                               {"FIXED", GPREMAP_LINUX_MAP_FIXED},
                               {"ANONYMOUS", GPREMAP_LINUX_MAP_ANONYMOUS},
                               {"FIXED_NOREPLACE", GPREMAP_LINUX_MAP_FIXED_NOREPLACE}},
                              GPREMAP_LINUX_MAP_PRIVATE | GPREMAP_LINUX_MAP_ANONYMOUS)},
         .effect = Effect::defines,
         .returns_address = true,
         .heeds_destination_with = GPREMAP_LINUX_MAP_FIXED | GPREMAP_LINUX_MAP_FIXED_NOREPLACE},
        giving_back(with_effect(on_linux_range(Call::linux_munmap, "linux_munmap", plan<linux_calls::munmap>),
                                Effect::unmaps)),
        on_linux_range(Call::linux_mprotect, "linux_mprotect", plan<linux_calls::mprotect>,
                       {prot(std::nullopt)}),
        giving_back(on_linux_range(Call::linux_madvise, "linux_madvise", plan<linux_calls::madvise>,
                                   {{.label = "advice",
                                     .kind = Kind::word,
                                     .keys = {"advice"},
                                     .words = {{"DONTNEED", GPREMAP_LINUX_MADV_DONTNEED},
                                               {"REMOVE", GPREMAP_LINUX_MADV_REMOVE},
                                               {"POPULATE_WRITE", GPREMAP_LINUX_MADV_POPULATE_WRITE}}}})),
        on_linux_range(Call::linux_mlock, "linux_mlock", plan<linux_calls::mlock>),
        on_linux_range(Call::linux_munlock, "linux_munlock", plan<linux_calls::munlock>),
        on_linux_range(Call::linux_mseal, "linux_mseal", plan<linux_calls::mseal>, {flags({})}),
    };
}

std::vector<CallRow> other_rows() {
    using Call = abi::Call;
    Parameter netbsd_flags =
        flags({{"FIXED", GPREMAP_NETBSD_MAP_FIXED}, {"REMAPDUP", GPREMAP_NETBSD_MAP_REMAPDUP}});
    netbsd_flags.field = {"align", GPREMAP_NETBSD_MAP_ALIGNMENT_SHIFT, 255};
    Parameter utek_prot = with_flags(
        prot(0), {{"RELEASE_ZFILL", GPREMAP_UTEK_RELEASE_ZFILL}, {"PREVIOUS", GPREMAP_UTEK_PREVIOUS}});
    utek_prot.needed_without = GPREMAP_UTEK_PREVIOUS;
    return {
        {.number = Call::netbsd_mremap,
         .verb = "netbsd",
         .set = Set::personality,
         .plan = plan<netbsd::mremap>,
         .parameters = {source("old", {"range", "old"}), source_size("old_size", {"old_size"}),
                        destination("new", {"new", "to"}),
                        new_size("new_size", {"new_size"}, Omitted::follows), netbsd_flags},
         .effect = Effect::relocates,
         .returns_address = true,
         .duplicates_with = GPREMAP_NETBSD_MAP_REMAPDUP,
         .heeds_destination_with = GPREMAP_NETBSD_MAP_FIXED},
        {.number = Call::utek_mremap,
         .verb = "utek",
         .set = Set::personality,
         .plan = plan<utek::mremap>,
         .parameters = {source("from", {"range", "from"}), destination("to", {"to"}, Omitted::follows),
                        source_size("len", {"size", "len"}), utek_prot},
         .effect = Effect::relocates,
         .gives_back_with = GPREMAP_UTEK_RELEASE_ZFILL},
    };
}

std::vector<CallRow> all_rows() {
    std::vector<CallRow> all = native_rows();
    for (auto rows : {linux_rows(), other_rows()}) all.insert(all.end(), rows.begin(), rows.end());
    return all;
}

}  // namespace

// ---- looking up ----

std::span<const CallRow> catalogue() {
    static const std::vector<CallRow> rows = all_rows();
    return rows;
}

const CallRow* find_call(abi::Call number) {
    const auto rows = catalogue();
    const auto found = std::ranges::lower_bound(rows, number, {}, &CallRow::number);
    return found != rows.end() && found->number == number ? &*found : nullptr;
}

const CallRow* find_call(std::string_view verb) {
    const auto rows = catalogue();
    const auto found = std::ranges::find(rows, verb, &CallRow::verb);
    return found != rows.end() ? &*found : nullptr;
}

const Parameter* CallRow::find(Parameter::Role role) const {
    const auto found = std::ranges::find(parameters, role, &Parameter::role);
    return found != parameters.end() ? &*found : nullptr;
}

std::optional<uint64_t> CallRow::value(Parameter::Role role, std::span<const uint64_t> args) const {
    const Parameter* parameter = find(role);
    return parameter ? std::optional(args[static_cast<size_t>(parameter - parameters.data())]) : std::nullopt;
}

uint64_t CallRow::flags(std::span<const uint64_t> args) const {
    for (size_t i = 0; i < parameters.size(); i++)
        if (parameters[i].has_flags || parameters[i].kind == Kind::flags) return args[i];
    return 0;
}

bool holds(const std::optional<uint64_t>& mask, uint64_t flags) {
    return mask && (*mask == 0 || (flags & *mask) != 0);
}

bool gives_memory_back(abi::Call number, std::span<const uint64_t> args) {
    const CallRow* row = find_call(number);
    if (!row) return false;
    const bool gets_smaller =
        row->resizes() && row->value(Role::new_size, args) < row->value(Role::source_size, args);
    return gets_smaller || holds(row->gives_back_with, row->flags(args));
}

// ---- planning ----

remap::Answer plan_call(const remap::Space& space, abi::Call number, const RawArguments& args) {
    const CallRow* row = find_call(number);
    return row && row->plan ? row->plan(space, args) : remap::fails(remap::Errno::enosys);
}

abi::ExtentInfo extent_info(const remap::Extent& extent, uint64_t page_size) {
    const remap::Attributes& is = extent.attributes;
    uint64_t attributes =
        (is.shared ? GPREMAP_ATTRIBUTE_SHARED : 0) | (is.locked ? GPREMAP_ATTRIBUTE_LOCKED : 0) |
        (is.pinned ? GPREMAP_ATTRIBUTE_PINNED : 0) | (is.sealed ? GPREMAP_ATTRIBUTE_SEALED : 0);
    return {extent.range.start().value, extent.range.size().bytes, extent.prot.bits, attributes, page_size};
}

}  // namespace gpremap
