#include "vmm/cases/reading.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <span>

#include "vmm/base/errno_names.h"
#include "vmm/config/toml_reader.h"

namespace gpremap {

namespace {

using abi::Call;
using Origin = Quantity::Origin;

struct Flag {
    std::string_view name;
    uint64_t bits;
};

constexpr Flag linux_flag_names[] = {{"MAYMOVE", GPREMAP_LINUX_MREMAP_MAYMOVE},
                                     {"FIXED", GPREMAP_LINUX_MREMAP_FIXED},
                                     {"DONTUNMAP", GPREMAP_LINUX_MREMAP_DONTUNMAP}};
constexpr Flag netbsd_flag_names[] = {{"FIXED", GPREMAP_NETBSD_MAP_FIXED},
                                      {"REMAPDUP", GPREMAP_NETBSD_MAP_REMAPDUP}};
constexpr Flag utek_flag_names[] = {{"RELEASE_ZFILL", GPREMAP_UTEK_RELEASE_ZFILL},
                                    {"PREVIOUS", GPREMAP_UTEK_PREVIOUS}};

constexpr Quantity plain(uint64_t value) {
    return {Origin::zero, 0, value};
}

// ---- addresses and sizes ----

// Terms such as "1P+1B" or "-2P": signed counts of granules (P) and bytes (B), from the first character
// to the last. The first may stand without a sign where `first_sign` is optional.
enum class FirstSign { optional, required };

bool add_terms(std::string_view text, FirstSign first_sign, Quantity& sum) {
    bool signed_term = first_sign == FirstSign::required;
    if (text.empty()) return first_sign == FirstSign::required;
    while (!text.empty()) {
        const bool negative = text.front() == '-';
        if (negative || text.front() == '+')
            text.remove_prefix(1);
        else if (signed_term)
            return false;
        signed_term = true;
        uint64_t count = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
        if (error != std::errc()) return false;
        text.remove_prefix(static_cast<size_t>(end - text.data()));
        if (text.empty() || (text.front() != 'P' && text.front() != 'B')) return false;
        uint64_t& unit = text.front() == 'P' ? sum.granules : sum.bytes;
        unit = negative ? unit - count : unit + count;
        text.remove_prefix(1);
    }
    return true;
}

std::optional<uint64_t> parse_absolute(std::string_view digits) {
    const bool hexadecimal = digits.starts_with("0x");
    if (hexadecimal) digits.remove_prefix(2);
    uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, hexadecimal ? 16 : 10);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
}

std::optional<Quantity> parse_address(std::string_view text) {
    if (text.starts_with("gpa:")) {
        const auto value = parse_absolute(text.substr(4));
        return value ? std::optional(plain(*value)) : std::nullopt;
    }
    Quantity address{text.starts_with("end") ? Origin::aperture_end : Origin::window, 0, 0};
    const bool from_end = address.origin == Origin::aperture_end;
    const bool parsed = from_end ? add_terms(text.substr(3), FirstSign::required, address)
                                 : add_terms(text, FirstSign::optional, address);
    return parsed ? std::optional(address) : std::nullopt;
}

std::optional<Quantity> parse_case_size(std::string_view text) {
    if (text == "max") return plain(~0ull);
    Quantity size;
    return add_terms(text, FirstSign::optional, size) ? std::optional(size) : std::nullopt;
}

Quantity address_of(const TomlValue& value) {
    if (value.is_integer()) return {Origin::window, static_cast<uint64_t>(value.integer()), 0};
    const auto address = value.is_text() ? parse_address(value.text()) : std::nullopt;
    if (!address)
        value.expected(
            "an address: a granule index, or a text such as \"1P+1B\", \"-1B\", \"gpa:0x1000\", \"end-2P\"");
    return *address;
}

Quantity size_of(const TomlValue& value) {
    if (value.is_integer()) return {Origin::zero, static_cast<uint64_t>(value.integer()), 0};
    const auto size = value.is_text() ? parse_case_size(value.text()) : std::nullopt;
    if (!size)
        value.expected("a size: a number of granules, or a text such as \"1P+1B\", \"4097B\", \"max\"");
    return *size;
}

Quantity address(const TomlTable& arguments, std::string_view key) {
    return address_of(arguments.at(key, "an address"));
}

Quantity size(const TomlTable& arguments, std::string_view key) {
    return size_of(arguments.at(key, "a size"));
}

// ---- flags and protections ----

std::string names_of(std::span<const Flag> known) {
    std::string names;
    for (const Flag& flag : known) names += (names.empty() ? "\"" : ", \"") + std::string(flag.name) + "\"";
    return names;
}

uint64_t flag_bits(const TomlTable& arguments, std::span<const Flag> known) {
    const auto value = arguments.find("flags");
    if (!value) return 0;
    if (value->is_integer()) return static_cast<uint64_t>(value->integer());
    if (!value->is_array()) value->expected("a list of " + names_of(known) + ", or an integer of raw bits");
    uint64_t bits = 0;
    for (const TomlValue& element : value->array()) {
        const auto found = std::ranges::find_if(
            known, [&](const Flag& flag) { return element.is_text() && element.text() == flag.name; });
        if (found == known.end()) element.expected("one of " + names_of(known));
        bits |= found->bits;
    }
    return bits;
}

// "rw", "r", "rwx"; "" is no access. A dash may hold the place of what is not granted: "r--".
uint64_t prot_of(const TomlValue& value) {
    uint64_t bits = 0;
    bool good = value.is_text();
    for (const char c : good ? value.text() : std::string()) {
        const uint64_t bit = c == 'r'   ? GPREMAP_PROT_READ
                             : c == 'w' ? GPREMAP_PROT_WRITE
                             : c == 'x' ? GPREMAP_PROT_EXEC
                                        : 0;
        good = good && (c == '-' || (bit != 0 && (bits & bit) == 0));
        bits |= bit;
    }
    if (!good) value.expected("a protection: letters of \"rwx\", or \"\" for no access");
    return bits;
}

Quantity prot_or(const TomlTable& arguments, uint64_t fallback) {
    const auto value = arguments.find("prot");
    return plain(value ? prot_of(*value) : fallback);
}

uint64_t flag_if(const TomlTable& arguments, std::string_view key, uint64_t bit) {
    return arguments.boolean_or(key, false) ? bit : 0;
}

// An address that may be left out: anywhere free.
struct Placed {
    Quantity at;
    uint64_t flags = 0;
};

Placed placed(const TomlTable& arguments, std::string_view key) {
    if (arguments.has(key)) return {address(arguments, key), 0};
    return {plain(0), GPREMAP_FLAG_ANYWHERE};
}

// ---- calls ----

CaseCall linux_call(const TomlTable& arguments) {
    arguments.only({"old", "old_size", "new_size", "flags", "new"});
    const Quantity to = arguments.has("new") ? address(arguments, "new") : plain(0);
    return {Call::linux_mremap,
            {address(arguments, "old"), size(arguments, "old_size"), size(arguments, "new_size"),
             plain(flag_bits(arguments, linux_flag_names)), to},
            {}};
}

CaseCall netbsd_call(const TomlTable& arguments) {
    arguments.only({"old", "old_size", "new", "new_size", "flags", "align"});
    const Quantity to = arguments.has("new") ? address(arguments, "new") : plain(0);
    uint64_t flags = flag_bits(arguments, netbsd_flag_names);
    if (const auto align = arguments.find("align"))
        flags |= align->integer_in(0, 255) << GPREMAP_NETBSD_MAP_ALIGNMENT_SHIFT;
    return {Call::netbsd_mremap,
            {address(arguments, "old"), size(arguments, "old_size"), to, size(arguments, "new_size"),
             plain(flags)},
            {}};
}

CaseCall utek_call(const TomlTable& arguments) {
    arguments.only({"from", "to", "len", "prot", "flags"});
    const auto prot = arguments.find("prot");
    const uint64_t bits = (prot ? prot_of(*prot) : 0) | flag_bits(arguments, utek_flag_names);
    return {Call::utek_mremap,
            {address(arguments, "from"), address(arguments, "to"), size(arguments, "len"), plain(bits)},
            {}};
}

CaseCall map_call(const TomlTable& arguments) {
    arguments.only({"at", "len", "prot"});
    const Placed to = placed(arguments, "at");
    return {Call::map,
            {to.at, size(arguments, "len"), prot_or(arguments, GPREMAP_PROT_READ | GPREMAP_PROT_WRITE),
             plain(to.flags)},
            {}};
}

CaseCall move_call(const TomlTable& arguments) {
    arguments.only({"from", "to", "len", "replace", "keep_holes"});
    const Placed to = placed(arguments, "to");
    const uint64_t flags = to.flags | flag_if(arguments, "replace", GPREMAP_FLAG_REPLACE) |
                           flag_if(arguments, "keep_holes", GPREMAP_FLAG_KEEP_HOLES);
    return {Call::move, {address(arguments, "from"), to.at, size(arguments, "len"), plain(flags)}, {}};
}

CaseCall grow_call(const TomlTable& arguments) {
    arguments.only({"at", "len", "new_len", "may_move"});
    return {Call::grow,
            {address(arguments, "at"), size(arguments, "len"), size(arguments, "new_len"),
             plain(flag_if(arguments, "may_move", GPREMAP_FLAG_MAY_MOVE))},
            {}};
}

CaseCall shrink_call(const TomlTable& arguments) {
    arguments.only({"at", "len", "new_len"});
    return {Call::shrink, {address(arguments, "at"), size(arguments, "len"), size(arguments, "new_len")}, {}};
}

// alias and snapshot.
CaseCall duplicate_call(Call number, const TomlTable& arguments) {
    arguments.only({"from", "to", "len", "prot"});
    const Placed to = placed(arguments, "to");
    return {number,
            {address(arguments, "from"), to.at, size(arguments, "len"),
             prot_or(arguments, GPREMAP_PROT_PREVIOUS), plain(to.flags)},
            {}};
}

CaseCall exchange_call(const TomlTable& arguments) {
    arguments.only({"a", "b", "len"});
    return {Call::exchange, {address(arguments, "a"), address(arguments, "b"), size(arguments, "len")}, {}};
}

CaseCall protect_call(const TomlTable& arguments) {
    arguments.only({"at", "len", "prot"});
    return {Call::protect,
            {address(arguments, "at"), size(arguments, "len"),
             plain(prot_of(arguments.at("prot", "a protection such as \"rw\"")))},
            {}};
}

CaseCall range_call(Call number, const TomlTable& arguments) {
    arguments.only({"at", "len"});
    return {number, {address(arguments, "at"), size(arguments, "len")}, {}};
}

CaseCall native_call(const TomlTable& native);

CaseCall batch_call(const TomlValue& value) {
    CaseCall batch{Call::batch, {}, {}};
    for (const TomlTable& element : value.tables()) {
        batch.batch.push_back(native_call(element));
        if (batch.batch.back().number == Call::batch) element.fail("a batch cannot stand in a batch");
    }
    if (batch.batch.size() > GPREMAP_MAX_BATCH)
        value.expected("at most " + std::to_string(GPREMAP_MAX_BATCH) + " calls");
    return batch;
}

struct NativeName {
    std::string_view name;
    Call number;
};
constexpr NativeName native_names[] = {
    {"map", Call::map},           {"unmap", Call::unmap},       {"move", Call::move},
    {"grow", Call::grow},         {"shrink", Call::shrink},     {"alias", Call::alias},
    {"snapshot", Call::snapshot}, {"exchange", Call::exchange}, {"release", Call::release},
    {"protect", Call::protect},   {"lock", Call::lock},         {"unlock", Call::unlock},
    {"pin", Call::pin},           {"unpin", Call::unpin},       {"seal", Call::seal},
    {"batch", Call::batch}};

CaseCall native_named(Call number, const TomlValue& value) {
    switch (number) {
        case Call::batch:
            return batch_call(value);
        case Call::map:
            return map_call(value.table());
        case Call::move:
            return move_call(value.table());
        case Call::grow:
            return grow_call(value.table());
        case Call::shrink:
            return shrink_call(value.table());
        case Call::alias:
        case Call::snapshot:
            return duplicate_call(number, value.table());
        case Call::exchange:
            return exchange_call(value.table());
        case Call::protect:
            return protect_call(value.table());
        default:
            return range_call(number, value.table());
    }
}

CaseCall native_call(const TomlTable& native) {
    const auto values = native.values();
    if (values.size() != 1) native.fail("expected exactly one native call, such as { map = { len = 1 } }");
    const TomlValue& value = values.front();
    const auto found = std::ranges::find_if(
        native_names, [&](const NativeName& known) { return known.name == value.name(); });
    if (found == std::end(native_names)) {
        std::string names;
        for (const NativeName& known : native_names)
            names += (names.empty() ? "" : ", ") + std::string(known.name);
        value.fail("unknown native call; known: " + names);
    }
    return native_named(found->number, value);
}

CaseFault fault_of(const TomlTable& arguments) {
    arguments.only({"at", "access"});
    return {address(arguments, "at"),
            arguments.at("access", "\"read\" or \"write\"")
                .one_of<abi::FaultKind>({{"read", abi::FaultKind::read}, {"write", abi::FaultKind::write}})};
}

Returns returns_of(const TomlValue& value) {
    if (value.is_integer()) return {Returns::Kind::index, value.integer()};
    const std::string text = value.is_text() ? value.text() : std::string();
    if (text == "elsewhere") return {Returns::Kind::elsewhere, 0};
    if (text == "ok") return {Returns::Kind::ok, 0};
    const auto error = errno_value(text);
    if (!error) value.expected("a granule index, \"elsewhere\", \"ok\" or the name of an errno");
    return {Returns::Kind::error, *error};
}

// What a call that returns no address returns.
bool is_zero(const Returns& returns) {
    return returns.kind == Returns::Kind::index && returns.value == 0;
}

bool needs_address(const Returns& returns) {
    return returns.kind == Returns::Kind::index || returns.kind == Returns::Kind::elsewhere;
}

CaseStep step_of(const TomlTable& table) {
    table.only({"linux", "netbsd", "utek", "native", "fault", "returns"});
    std::vector<TomlValue> actions;
    for (const TomlValue& value : table.values())
        if (value.name() != "returns") actions.push_back(value);
    if (actions.size() != 1) table.fail("expected exactly one of linux, netbsd, utek, native, fault");
    const TomlValue& action = actions.front();
    if (action.name() == "fault") {
        if (const auto returns = table.find("returns"))
            returns->fail("a fault returns nothing: leave it out");
        return {fault_of(action.table()), {}};
    }
    const CaseCall call = action.name() == "linux"    ? linux_call(action.table())
                          : action.name() == "netbsd" ? netbsd_call(action.table())
                          : action.name() == "utek"   ? utek_call(action.table())
                                                      : native_call(action.table());
    const TomlValue stated = table.at("returns", "a granule index, \"elsewhere\", \"ok\" or an errno");
    Returns returns = returns_of(stated);
    if (needs_address(returns) && !returns_address(call.number)) {
        if (!is_zero(returns))
            stated.fail("this call returns no address: expected \"ok\", 0 or the name of an errno");
        returns = {Returns::Kind::ok, 0};
    }
    return {call, returns};
}

// ---- pictures ----

struct Picture {
    std::string granules;
    std::vector<bool> bar;
};

constexpr std::string_view picture_hint = "'.', '0', a-z, A-Z, '_', with single bars between them";

Picture picture_of(const TomlValue& value) {
    Picture picture;
    const std::string text = value.text();
    bool bar = false;
    for (const char c : text) {
        if (c == '|' && !bar && !picture.granules.empty()) {
            bar = true;
            continue;
        }
        if (!is_picture(c))
            value.fail("'" + std::string(1, c) + "' cannot stand here; expected " +
                       std::string(picture_hint));
        picture.granules += c;
        picture.bar.push_back(bar);
        bar = false;
    }
    if (bar) value.fail("a bar ends the picture; expected " + std::string(picture_hint));
    if (text.empty()) value.fail("expected a picture of at least one granule");
    return picture;
}

std::vector<Attribute> attributes_of(const TomlTable& table, const std::string& before) {
    std::vector<Attribute> attributes(before.size(), Attribute::none);
    const auto value = table.find("attrs");
    if (!value) return attributes;
    const std::string text = value->text();
    if (text.size() != before.size())
        value->fail("expected one character for each of the " + std::to_string(before.size()) +
                    " granules of 'before', got " + std::to_string(text.size()));
    for (size_t i = 0; i < text.size(); ++i) {
        if (std::string_view("-slpx").find(text[i]) == std::string_view::npos)
            value->fail("'" + std::string(1, text[i]) +
                        "' is no attribute; expected '-', 's', 'l', 'p' or 'x'");
        attributes[i] = static_cast<Attribute>(text[i]);
        if (attributes[i] != Attribute::none && before[i] == '.')
            value->fail("granule " + std::to_string(i) +
                        " is not mapped and can have no attribute; write '-'");
    }
    return attributes;
}

std::vector<std::pair<int64_t, int64_t>> pairs_of(const TomlTable& table, std::string_view key) {
    std::vector<std::pair<int64_t, int64_t>> pairs;
    const auto value = table.find(key);
    if (!value) return pairs;
    for (const TomlValue& element : value->array()) {
        if (!element.is_array() || element.array().size() != 2)
            element.expected("a pair of granule indices, such as [0, 2]");
        pairs.emplace_back(element.array()[0].integer(), element.array()[1].integer());
    }
    return pairs;
}

std::optional<uint64_t> count_of(const TomlTable& table, std::string_view key) {
    const auto value = table.find(key);
    if (!value) return std::nullopt;
    return value->integer_in(0, INT64_MAX);
}

// ---- cases ----

std::vector<CaseStep> steps_of(const TomlTable& table) {
    std::vector<CaseStep> steps;
    const TomlValue calls = table.at("calls", "an array of calls");
    for (const TomlTable& element : calls.tables()) steps.push_back(step_of(element));
    if (steps.empty()) calls.fail("expected at least one call");
    return steps;
}

std::string after_of(const TomlTable& table, const std::string& before) {
    const auto value = table.find("after");
    if (!value) return before;
    const std::string after = picture_of(*value).granules;
    if (after.size() != before.size())
        value->fail("expected as many granules as 'before', which has " + std::to_string(before.size()) +
                    ", got " + std::to_string(after.size()));
    return after;
}

bool returns_an_address(const CaseStep& step) {
    const auto* call = std::get_if<CaseCall>(&step.action);
    return call && step.returns.kind != Returns::Kind::error && returns_address(call->number);
}

std::string result_of(const TomlTable& table, const std::vector<CaseStep>& steps) {
    const auto value = table.find("result");
    if (!value) return {};
    if (std::ranges::none_of(steps, returns_an_address))
        value->fail("no call returns an address at which a result could stand; leave it out");
    return picture_of(*value).granules;
}

Case case_of(const TomlTable& table) {
    table.only({"name", "source", "before", "attrs", "calls", "after", "result", "same", "distinct",
                "extents", "limit", "lock_limit", "max_extents", "granule"});
    Case c;
    c.file = table.place().file;
    c.name = table.at("name", "a text").text();
    c.source = table.text_or("source", "");
    const Picture before = picture_of(table.at("before", "a picture such as \"ab..\""));
    c.before = before.granules;
    c.bar = before.bar;
    c.attrs = attributes_of(table, c.before);
    c.steps = steps_of(table);
    c.after = after_of(table, c.before);
    c.result = result_of(table, c.steps);
    c.same = pairs_of(table, "same");
    c.distinct = pairs_of(table, "distinct");
    c.extents = count_of(table, "extents");
    c.limit = count_of(table, "limit");
    c.lock_limit = count_of(table, "lock_limit");
    c.max_extents = count_of(table, "max_extents");
    if (const auto granule = table.find("granule")) {
        c.granule = granule->one_of<uint64_t>({{"4KiB", 4096}, {"2MiB", 2ull << 20}});
        c.granule_stated = true;
    }
    return c;
}

std::vector<Case> cases_of(const TomlFile& file) {
    const TomlTable root = file.root();
    root.only({"case"});
    std::vector<Case> cases;
    for (const TomlTable& table : root.at("case", "[[case]]").tables()) cases.push_back(case_of(table));
    return cases;
}

}  // namespace

std::vector<Case> read_case_file(const std::string& path) {
    return cases_of(TomlFile::read(path));
}

std::vector<Case> parse_cases(std::string_view text, const std::string& name) {
    return cases_of(TomlFile::parse(text, name));
}

bool returns_address(Call number) {
    switch (number) {
        case Call::map:
        case Call::move:
        case Call::grow:
        case Call::shrink:
        case Call::alias:
        case Call::snapshot:
        case Call::linux_mremap:
        case Call::netbsd_mremap:
            return true;
        default:
            return false;
    }
}

bool is_picture(char c) {
    return c == '.' || c == '0' || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace gpremap
