#include "vmm/calls/reading.h"

#include <functional>
#include <map>

#include "vmm/calls/words.h"

namespace gpremap {

namespace {

using abi::Call;

Operand number(uint64_t value) {
    return {Operand::Kind::number, "", value, {}};
}

// Fills in what every call that acts on [at, at + len) has.
void take_source(CallAction& action, const Operand& at, const Operand& len) {
    action.source = Span{at, len};
    action.new_size = len;
}

void take_name(CallAction& action, const TomlTable& table) {
    auto name = table.find("name");
    if (!name) return;
    action.effect = Effect::defines;
    action.name = read_name(*name);
}

// ---- native calls ----

CallAction read_map(const TomlTable& table) {
    table.only({"name", "at", "size", "len", "prot", "hint", "shared"});
    CallAction action;
    auto at = table.find("at");
    if (at) action.destination = read_address(*at);
    if (!at && table.has("hint")) table.find("hint")->fail("a hint needs the address under 'at'");
    // Nothing is named here that a length could be taken from.
    action.new_size = read_length(table, {"size", "len"}, number(0));
    uint64_t prot = table.has("prot") ? read_prot(table.at("prot")) : GPREMAP_PROT_READ | GPREMAP_PROT_WRITE;
    uint64_t flags = (at ? 0 : GPREMAP_FLAG_ANYWHERE) |
                     (table.boolean_or("hint", false) ? GPREMAP_FLAG_HINT : 0) |
                     (table.boolean_or("shared", false) ? GPREMAP_FLAG_SHARED : 0);
    take_name(action, table);
    action.number = Call::map;
    action.args = {{"at", action.destination.value_or(number(0))},
                   {"len", action.new_size},
                   {"prot", number(prot)},
                   {"flags", number(flags)}};
    return action;
}

// unmap, release, seal, lock, unlock, pin, unpin, query: (at, len)
CallAction read_on_range(const TomlTable& table, Call call, Effect effect) {
    table.only({"range", "at", "offset", "size", "len"});
    Operand at = read_place(table, {"range", "at"});
    Operand len = read_length(table, {"size", "len"}, at);
    CallAction action;
    action.number = call;
    action.effect = effect;
    take_source(action, at, len);
    action.args = {{"at", at}, {"len", len}};
    return action;
}

CallAction read_move(const TomlTable& table) {
    table.only({"range", "from", "at", "offset", "size", "len", "to", "replace", "keep_holes"});
    Operand from = read_place(table, {"range", "from", "at"});
    Operand len = read_length(table, {"size", "len"}, from);
    CallAction action;
    action.number = Call::move;
    action.effect = Effect::relocates;
    take_source(action, from, len);
    if (auto to = table.find("to")) action.destination = read_address(*to);
    uint64_t flags = (action.destination ? 0 : GPREMAP_FLAG_ANYWHERE) |
                     (table.boolean_or("replace", false) ? GPREMAP_FLAG_REPLACE : 0) |
                     (table.boolean_or("keep_holes", false) ? GPREMAP_FLAG_KEEP_HOLES : 0);
    action.args = {{"from", from},
                   {"to", action.destination.value_or(number(0))},
                   {"len", len},
                   {"flags", number(flags)}};
    return action;
}

CallAction read_resize(const TomlTable& table, Call call) {
    Operand at = read_place(table, {"range", "at"});
    Operand len = read_length(table, {"size", "len"}, at);
    auto new_len = find_one(table, {"new_size", "new_len"});
    if (!new_len) table.fail("missing 'new_size', the size afterwards in bytes");
    CallAction action;
    action.number = call;
    action.effect = Effect::relocates;
    take_source(action, at, len);
    action.new_size = Operand{Operand::Kind::number, "", new_len->size(), new_len->place()};
    action.args = {{"at", at}, {"len", len}, {"new_len", action.new_size}};
    return action;
}

CallAction read_grow(const TomlTable& table) {
    table.only({"range", "at", "offset", "size", "len", "new_size", "new_len", "may_move"});
    CallAction action = read_resize(table, Call::grow);
    uint64_t flags = table.boolean_or("may_move", false) ? GPREMAP_FLAG_MAY_MOVE : 0;
    action.args.push_back({"flags", number(flags)});
    return action;
}

CallAction read_shrink(const TomlTable& table) {
    table.only({"range", "at", "offset", "size", "len", "new_size", "new_len"});
    return read_resize(table, Call::shrink);
}

// alias, snapshot
CallAction read_duplicate(const TomlTable& table, Call call) {
    table.only({"range", "from", "at", "offset", "size", "len", "to", "prot", "name"});
    Operand from = read_place(table, {"range", "from", "at"});
    Operand len = read_length(table, {"size", "len"}, from);
    CallAction action;
    action.number = call;
    take_source(action, from, len);
    take_name(action, table);
    if (auto to = table.find("to")) action.destination = read_address(*to);
    uint64_t prot = table.has("prot") ? read_prot(table.at("prot")) : GPREMAP_PROT_PREVIOUS;
    action.args = {{"from", from},
                   {"to", action.destination.value_or(number(0))},
                   {"len", len},
                   {"prot", number(prot)},
                   {"flags", number(action.destination ? 0 : GPREMAP_FLAG_ANYWHERE)}};
    return action;
}

CallAction read_exchange(const TomlTable& table) {
    table.only({"a", "b", "size", "len"});
    Operand a = read_address(table.at("a", address_hint));
    Operand len = read_length(table, {"size", "len"}, a);
    CallAction action;
    action.number = Call::exchange;
    action.effect = Effect::exchanges;
    take_source(action, a, len);
    action.destination = read_address(table.at("b", address_hint));
    action.args = {{"a", a}, {"b", *action.destination}, {"len", len}};
    return action;
}

CallAction read_protect(const TomlTable& table) {
    table.only({"range", "at", "offset", "size", "len", "prot"});
    Operand at = read_place(table, {"range", "at"});
    Operand len = read_length(table, {"size", "len"}, at);
    CallAction action;
    action.number = Call::protect;
    take_source(action, at, len);
    uint64_t prot = read_prot(table.at("prot", "a protection such as \"rw\""));
    action.args = {{"at", at}, {"len", len}, {"prot", number(prot)}};
    return action;
}

// ---- personalities ----

// What Linux and NetBSD have in common: the old range, the new size, the new place.
struct Remap {
    Operand old, old_size, new_size;
    std::optional<Operand> to;
};

Remap read_remap(const TomlTable& table) {
    Remap remap;
    remap.old = read_place(table, {"range", "old"});
    remap.old_size = read_length(table, {"old_size"}, remap.old);
    remap.new_size = remap.old_size;
    if (auto size = table.find("new_size"))
        remap.new_size = Operand{Operand::Kind::number, "", size->size(), size->place()};
    if (auto to = find_one(table, {"new", "to"})) remap.to = read_address(*to);
    return remap;
}

enum class Leaves { nothing, source };  // what a successful call leaves at the old place

CallAction start_remap(const TomlTable& table, const Remap& remap, Call call, Leaves leaves) {
    CallAction action;
    action.number = call;
    take_source(action, remap.old, remap.old_size);
    action.new_size = remap.new_size;
    if (leaves == Leaves::source) {
        take_name(action, table);
    } else if (auto name = table.find("name")) {
        name->fail("only a duplicate needs a name of its own; a range that moves keeps its name");
    } else {
        action.effect = Effect::relocates;
    }
    return action;
}

CallAction read_linux(const TomlTable& table) {
    table.only({"range", "old", "offset", "old_size", "new_size", "flags", "new", "to", "name"});
    Remap remap = read_remap(table);
    uint64_t flags = 0;
    if (auto value = table.find("flags"))
        flags = read_flags(*value, {{"MAYMOVE", GPREMAP_LINUX_MREMAP_MAYMOVE},
                                    {"FIXED", GPREMAP_LINUX_MREMAP_FIXED},
                                    {"DONTUNMAP", GPREMAP_LINUX_MREMAP_DONTUNMAP}});
    bool duplicates = remap.old_size.kind == Operand::Kind::number && remap.old_size.offset == 0;
    CallAction action =
        start_remap(table, remap, Call::linux_mremap, duplicates ? Leaves::source : Leaves::nothing);
    // Without these flags Linux does not look at `new`.
    if (flags & (GPREMAP_LINUX_MREMAP_FIXED | GPREMAP_LINUX_MREMAP_DONTUNMAP)) action.destination = remap.to;
    action.args = {{"old", remap.old},
                   {"old_size", remap.old_size},
                   {"new_size", remap.new_size},
                   {"flags", number(flags)},
                   {"new", remap.to.value_or(number(0))}};
    return action;
}

CallAction read_netbsd(const TomlTable& table) {
    table.only({"range", "old", "offset", "old_size", "new", "to", "new_size", "flags", "align", "name"});
    Remap remap = read_remap(table);
    uint64_t flags = 0;
    if (auto value = table.find("flags"))
        flags = read_flags(*value,
                           {{"FIXED", GPREMAP_NETBSD_MAP_FIXED}, {"REMAPDUP", GPREMAP_NETBSD_MAP_REMAPDUP}});
    if (auto align = table.find("align"))
        flags |= align->integer_in(0, 255) << GPREMAP_NETBSD_MAP_ALIGNMENT_SHIFT;
    bool duplicates = flags & GPREMAP_NETBSD_MAP_REMAPDUP;
    CallAction action =
        start_remap(table, remap, Call::netbsd_mremap, duplicates ? Leaves::source : Leaves::nothing);
    if (flags & GPREMAP_NETBSD_MAP_FIXED) action.destination = remap.to;  // else it is a hint
    action.args = {{"old", remap.old},
                   {"old_size", remap.old_size},
                   {"new", remap.to.value_or(number(0))},
                   {"new_size", remap.new_size},
                   {"flags", number(flags)}};
    return action;
}

uint64_t read_utek_prot(const TomlTable& table) {
    uint64_t flags = 0;
    if (auto value = table.find("flags"))
        flags = read_flags(
            *value, {{"RELEASE_ZFILL", GPREMAP_UTEK_RELEASE_ZFILL}, {"PREVIOUS", GPREMAP_UTEK_PREVIOUS}});
    if (auto prot = table.find("prot")) return flags | read_prot(*prot);
    if (!(flags & GPREMAP_UTEK_PREVIOUS))
        table.fail("missing 'prot' (such as \"rw\"), or flags = [\"PREVIOUS\"] to keep each page's own");
    return flags;
}

CallAction read_utek(const TomlTable& table) {
    table.only({"range", "from", "offset", "to", "len", "size", "prot", "flags"});
    Operand from = read_place(table, {"range", "from"});
    Operand len = read_length(table, {"len", "size"}, from);
    CallAction action;
    action.number = Call::utek_mremap;
    action.effect = Effect::relocates;
    take_source(action, from, len);
    auto to = table.find("to");
    action.destination = to ? read_address(*to) : from;  // left out: in place
    action.args = {
        {"from", from}, {"to", *action.destination}, {"len", len}, {"prot", number(read_utek_prot(table))}};
    return action;
}

// ---- the verbs ----

using Reader = std::function<CallAction(const TomlTable&)>;

Reader on_range(Call call, Effect effect = Effect::none) {
    return [=](const TomlTable& table) { return read_on_range(table, call, effect); };
}

Reader duplicate(Call call) {
    return [=](const TomlTable& table) { return read_duplicate(table, call); };
}

const std::map<std::string, Reader, std::less<>>& native_verbs() {
    static const std::map<std::string, Reader, std::less<>> verbs{
        {"map", read_map},
        {"unmap", on_range(Call::unmap, Effect::unmaps)},
        {"move", read_move},
        {"grow", read_grow},
        {"shrink", read_shrink},
        {"alias", duplicate(Call::alias)},
        {"snapshot", duplicate(Call::snapshot)},
        {"exchange", read_exchange},
        {"protect", read_protect},
        {"release", on_range(Call::release)},
        {"seal", on_range(Call::seal)},
        {"lock", on_range(Call::lock)},
        {"unlock", on_range(Call::unlock)},
        {"pin", on_range(Call::pin)},
        {"unpin", on_range(Call::unpin)},
    };
    return verbs;
}

// Those that a batch cannot hold.
const std::map<std::string, Reader, std::less<>>& lone_verbs() {
    static const std::map<std::string, Reader, std::less<>> verbs{
        {"query", on_range(Call::query)},
        {"linux", read_linux},
        {"netbsd", read_netbsd},
        {"utek", read_utek},
    };
    return verbs;
}

std::string native_names() {
    std::string all;
    for (const auto& [name, reader] : native_verbs()) all += (all.empty() ? "" : ", ") + name;
    return all;
}

CallAction read_batch_entry(const TomlTable& entry) {
    std::vector<TomlValue> values = entry.values();
    if (values.size() != 1) entry.fail("expected one native call, such as { move = { ... } }");
    auto verb = native_verbs().find(values[0].name());
    if (verb == native_verbs().end()) values[0].fail("not a native call; known are " + native_names());
    return verb->second(values[0].table());
}

}  // namespace

bool is_call_verb(std::string_view name) {
    return name == "batch" || native_verbs().contains(name) || lone_verbs().contains(name);
}

std::string call_verbs() {
    std::string all = native_names() + ", batch";
    for (const auto& [name, reader] : lone_verbs()) all += ", " + name;
    return all;
}

CallAction read_call(const TomlValue& value) {
    if (auto verb = native_verbs().find(value.name()); verb != native_verbs().end())
        return verb->second(value.table());
    return lone_verbs().find(value.name())->second(value.table());
}

BatchAction read_batch(const TomlValue& value) {
    BatchAction batch;
    for (const TomlTable& entry : value.tables()) batch.calls.push_back(read_batch_entry(entry));
    if (batch.calls.empty() || batch.calls.size() > max_scenario_batch)
        value.fail("expected from 1 to " + std::to_string(max_scenario_batch) + " calls, got " +
                   std::to_string(batch.calls.size()));
    return batch;
}

}  // namespace gpremap
