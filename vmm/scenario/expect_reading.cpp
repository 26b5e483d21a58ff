#include "vmm/scenario/expect_reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vmm/base/errno_names.h"
#include "vmm/base/units.h"
#include "vmm/calls/words.h"
#include "vmm/scenario/judging.h"

namespace gpremap {

namespace {

using Action = decltype(ScenarioStep::action);

int64_t read_errno(const TomlValue& value) {
    auto number = errno_value(value.text());
    if (!number) value.expected("the name of an errno, such as \"ENOMEM\"");
    return *number;
}

abi::FaultKind read_fault_kind(const TomlValue& value) {
    return value.one_of<abi::FaultKind>({{"read", abi::FaultKind::read},
                                         {"write", abi::FaultKind::write},
                                         {"execute", abi::FaultKind::execute}});
}

ExpectedFault read_fault(const TomlValue& value) {
    ExpectedFault fault;
    if (!value.is_table()) {
        fault.kind = read_fault_kind(value);
        return fault;
    }
    TomlTable table = value.table();
    table.only({"kind", "address"});
    fault.kind = read_fault_kind(table.at("kind", "\"read\", \"write\" or \"execute\""));
    if (auto address = table.find("address")) fault.address = read_address(*address);
    return fault;
}

// ---- bounds ----

constexpr std::string_view bound_hint =
    "a bound: a number, or <, <=, >, >=, == or != and a number or a size, such as \"<=2\" or \">=256MiB\"";

// A text for parse_size, or a number that may be a fraction.
std::optional<double> parse_amount(std::string_view text) {
    if (const auto bytes = parse_size(text)) return static_cast<double>(*bytes);
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_whole = error == std::errc() && end == text.data() + text.size();
    return is_whole ? std::optional(number) : std::nullopt;
}

Bound read_bound_text(const TomlValue& value) {
    // The longer ones first: "<" begins "<=".
    constexpr std::array<std::pair<std::string_view, Bound::Is>, 6> operators{{{"<=", Bound::Is::at_most},
                                                                               {">=", Bound::Is::at_least},
                                                                               {"==", Bound::Is::equal},
                                                                               {"!=", Bound::Is::different},
                                                                               {"<", Bound::Is::less},
                                                                               {">", Bound::Is::more}}};
    const std::string text = value.text();
    const auto found =
        std::ranges::find_if(operators, [&](const auto& each) { return text.starts_with(each.first); });
    if (found == operators.end()) value.expected(bound_hint);
    std::string_view amount = std::string_view(text).substr(found->first.size());
    if (amount.starts_with(' ')) amount.remove_prefix(1);
    const auto than = parse_amount(amount);
    if (!than) value.expected(bound_hint);
    return {found->second, *than, text};
}

Bound read_bound(const TomlValue& value) {
    if (value.is_text()) return read_bound_text(value);
    if (value.is_integer()) return {Bound::Is::equal, value.number(), value.integer()};
    if (value.is_boolean() || value.is_table() || value.is_array()) value.expected(bound_hint);
    return {Bound::Is::equal, value.number(), value.number()};
}

bool is_time(const StepMetric& metric) {
    return metric.name == "call_us" || metric.name == "guest_us";
}

void read_bounds(const TomlValue& value, const StepMetric& metric, Expect& expect) {
    if (!is_time(metric) || !value.is_table()) {
        expect.bounds.push_back({&metric, "", read_bound(value)});
        return;
    }
    constexpr std::array<std::string_view, 4> of_all{"median", "p99", "min", "max"};
    const TomlTable table = value.table();
    table.only(of_all);
    for (std::string_view of : of_all)
        if (auto bound = table.find(of)) expect.bounds.push_back({&metric, of, read_bound(*bound)});
    if (table.values().empty()) value.expected("a bound of median, p99, min or max");
}

// ---- what fits the step ----

bool makes_calls(const Action& action) {
    return std::holds_alternative<CallAction>(action) || std::holds_alternative<BatchAction>(action) ||
           std::holds_alternative<ResizeAction>(action);
}

bool touches_memory(const Action& action) {
    return std::visit(
        [](const auto& one) {
            if constexpr (requires { one.accesses(); })
                return !one.accesses().empty();
            else
                return false;
        },
        action);
}

bool may_give_memory_back(const Action& action) {
    if (std::holds_alternative<ResizeAction>(action) || std::holds_alternative<UnplugAction>(action))
        return true;
    const auto* call = std::get_if<CallAction>(&action);
    if (!call) return false;
    const CallRow& row = *find_call(call->number);
    std::vector<uint64_t> values;
    for (const Argument& argument : call->args) values.push_back(argument.value.offset);
    return row.resizes() || holds(row.gives_back_with, row.flags(values));
}

bool has(const Action& action, const StepMetric& metric) {
    switch (metric.of) {
        case StepMetric::Of::call:
            return makes_calls(action);
        case StepMetric::Of::guest_work:
            return makes_calls(action) || touches_memory(action);
        case StepMetric::Of::call_that_gives_back:
            return may_give_memory_back(action);
    }
    return false;
}

void require_fitting(const TomlValue& place, const Expect& expect, const ScenarioStep& step) {
    const auto* call = std::get_if<CallAction>(&step.action);
    bool returns_address = call && (call->effect == Effect::defines || call->effect == Effect::relocates);
    const bool is_of_ram =
        std::holds_alternative<PlugAction>(step.action) || std::holds_alternative<UnplugAction>(step.action);
    if (expect.error && !makes_calls(step.action) && !is_of_ram)
        place.fail("only a call can end in an errno");
    if (expect.fault && !touches_memory(step.action)) place.fail("only an access to memory can fault");
    if (expect.at && !returns_address) place.fail(fmt::format("a '{}' returns no address", step.verb));
    if (expect.moved && !(call && call->effect == Effect::relocates))
        place.fail(fmt::format("a '{}' moves nothing", step.verb));
    const auto* access = std::get_if<AccessAction>(&step.action);
    if (expect.read && !(access && access->kind == abi::FaultKind::read))
        place.fail("only an access of kind \"read\" reads a word");
    if (expect.huge_kept && !makes_calls(step.action))
        place.fail(fmt::format("a '{}' makes no call, so `huge_kept` is nothing that it has", step.verb));
    for (const ExpectedBound& bound : expect.bounds)
        if (!has(step.action, *bound.metric))
            place.fail(fmt::format("a '{}' has no `{}`", step.verb, bound.metric->name));
}

}  // namespace

Expect read_expect(const TomlValue& value, const ScenarioStep& step) {
    const TomlTable table = value.table();
    std::vector<std::string_view> known{"errno", "at", "fault", "moved", "read", "huge_kept"};
    for (const StepMetric& metric : metrics()) known.push_back(metric.name);
    table.only(known);
    Expect expect;
    if (auto error = table.find("errno")) expect.error = read_errno(*error);
    if (auto at = table.find("at")) expect.at = read_address(*at);
    if (auto fault = table.find("fault")) expect.fault = read_fault(*fault);
    if (auto moved = table.find("moved")) expect.moved = moved->boolean();
    if (auto word = table.find("read"))
        expect.read = word->integer_in(0, std::numeric_limits<int64_t>::max());
    if (auto kept = table.find("huge_kept")) expect.huge_kept = kept->boolean();
    for (const StepMetric& metric : metrics())
        if (auto bound = table.find(metric.name)) read_bounds(*bound, metric, expect);
    if (!expect.success() && (expect.at || expect.moved || expect.read || (expect.error && expect.fault)))
        table.fail("`errno` and `fault` each stand alone: what fails returns nothing else");
    require_fitting(value, expect, step);
    return expect;
}

}  // namespace gpremap
