#include "vmm/cases/reading.h"

#include <fmt/format.h>

#include <algorithm>

#include "vmm/base/errno_names.h"
#include "vmm/calls/reading.h"
#include "vmm/cases/words.h"
#include "vmm/config/toml_reader.h"

namespace gpremap {

namespace {

// ---- steps ----

CaseFault fault_of(const TomlTable& arguments, const CaseWords& words) {
    arguments.only({"at", "access"});
    return {words.address(arguments.at("at", words.address_hint())),
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

// `value` stands under one of the keys of a step.
decltype(CaseStep::action) action_of(const TomlValue& value, const CaseWords& words) {
    if (value.name() == "fault") return fault_of(value.table(), words);
    if (value.name() != "native") return read_call(*find_call(value.name()), value, words);
    const TomlTable native = value.table();
    const auto batch = native.find("batch");
    // An empty batch is a call that fails, and so may stand here.
    if (batch && native.values().size() == 1) return read_batch(*batch, words, 0, GPREMAP_MAX_BATCH);
    return read_native_call(native, words);
}

bool is_personality(const CallRow& row) {
    return row.set == CallRow::Set::personality;
}

// A personality's mremap has the personality's name; its further calls, such as linux_mmap, come last.
std::string all_actions() {
    std::string remaps, others;
    for (const CallRow& row : catalogue())
        if (is_personality(row))
            (row.verb.find('_') != std::string_view::npos ? others : remaps) += std::string(row.verb) + ", ";
    return remaps + "native, fault, " + others.substr(0, others.size() - 2);
}

bool is_action(std::string_view key) {
    const CallRow* row = find_call(key);
    return key == "native" || key == "fault" || (row && is_personality(*row));
}

// The one key of a step that says what is done.
TomlValue find_action(const TomlTable& table) {
    const std::string known = all_actions();
    std::vector<TomlValue> actions;
    for (const TomlValue& value : table.values()) {
        if (is_action(value.name()))
            actions.push_back(value);
        else if (value.name() != "returns")
            value.fail("unknown key; known here: returns, " + known);
    }
    if (actions.size() != 1) table.fail("expected exactly one of " + known);
    return actions.front();
}

CaseStep step_of(const TomlTable& table, const CaseWords& words) {
    const TomlValue action = find_action(table);
    CaseStep step{action_of(action, words), {}};
    if (std::holds_alternative<CaseFault>(step.action)) {
        if (const auto returns = table.find("returns"))
            returns->fail("a fault returns nothing: leave it out");
        return step;
    }
    const TomlValue stated = table.at("returns", "a granule index, \"elsewhere\", \"ok\" or an errno");
    step.returns = returns_of(stated);
    if (needs_address(step.returns) && !returns_address(step)) {
        if (!is_zero(step.returns))
            stated.fail("this call returns no address: expected \"ok\", 0 or the name of an errno");
        step.returns = {Returns::Kind::ok, 0};
    }
    return step;
}

// ---- pictures ----

struct Picture {
    std::string granules;
    std::vector<bool> bar;
};

// The character of UTF-8 that begins at `at`, whole.
std::string character(const std::string& text, size_t at) {
    size_t end = at + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) end++;
    return text.substr(at, end - at);
}

constexpr std::string_view picture_hint = "'.', '0', a-z, A-Z, '_', with single bars between them";

Picture picture_of(const TomlValue& value) {
    Picture picture;
    const std::string text = value.text();
    bool bar = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '|' && !bar && !picture.granules.empty()) {
            bar = true;
            continue;
        }
        if (!is_picture(c))
            value.fail(fmt::format("'{}' cannot stand here; expected {}", character(text, i), picture_hint));
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
    for (size_t i = 0; i < text.size(); ++i)
        if (std::string_view("-slpx").find(text[i]) == std::string_view::npos)
            value->fail(
                fmt::format("'{}' is no attribute; expected '-', 's', 'l', 'p' or 'x'", character(text, i)));
    if (text.size() != before.size())
        value->fail(fmt::format("expected one character for each of the {} granules of 'before', got {}",
                                before.size(), text.size()));
    for (size_t i = 0; i < text.size(); ++i) {
        attributes[i] = static_cast<Attribute>(text[i]);
        if (attributes[i] != Attribute::none && before[i] == '.')
            value->fail(fmt::format("granule {} is not mapped and can have no attribute; write '-'", i));
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

std::vector<CaseStep> steps_of(const TomlTable& table, uint64_t granule) {
    std::vector<CaseStep> steps;
    const CaseWords words(granule);
    const TomlValue calls = table.at("calls", "an array of calls");
    for (const TomlTable& element : calls.tables()) steps.push_back(step_of(element, words));
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

bool gives_an_address(const CaseStep& step) {
    return step.returns.kind != Returns::Kind::error && returns_address(step);
}

std::string result_of(const TomlTable& table, const std::vector<CaseStep>& steps) {
    const auto value = table.find("result");
    if (!value) return {};
    if (std::ranges::none_of(steps, gives_an_address))
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
    if (const auto granule = table.find("granule")) {
        c.granule = granule->one_of<uint64_t>({{"4KiB", 4096}, {"2MiB", 2ull << 20}});
        c.granule_stated = true;
    }
    const Picture before = picture_of(table.at("before", "a picture such as \"ab..\""));
    c.before = before.granules;
    c.bar = before.bar;
    c.attrs = attributes_of(table, c.before);
    c.steps = steps_of(table, c.granule);
    c.after = after_of(table, c.before);
    c.result = result_of(table, c.steps);
    c.same = pairs_of(table, "same");
    c.distinct = pairs_of(table, "distinct");
    c.extents = count_of(table, "extents");
    c.limit = count_of(table, "limit");
    c.lock_limit = count_of(table, "lock_limit");
    c.max_extents = count_of(table, "max_extents");
    return c;
}

std::vector<Case> cases_of(const TomlFile& file) {
    const TomlTable root = file.root();
    root.only({"case"});
    std::vector<Case> cases;
    const TomlValue all = root.at("case", "at least one [[case]]");
    for (const TomlTable& table : all.tables()) cases.push_back(case_of(table));
    if (cases.empty()) all.fail("expected at least one [[case]]");
    return cases;
}

}  // namespace

std::vector<Case> read_case_file(const std::string& path) {
    return cases_of(TomlFile::read(path));
}

std::vector<Case> parse_cases(std::string_view text, const std::string& name) {
    return cases_of(TomlFile::parse(text, name));
}

bool returns_address(const CaseStep& step) {
    const auto* call = std::get_if<CallAction>(&step.action);
    return call && find_call(call->number)->returns_address;
}

bool is_picture(char c) {
    return c == '.' || c == '0' || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace gpremap
