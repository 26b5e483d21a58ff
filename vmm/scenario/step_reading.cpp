#include "vmm/scenario/step_reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "vmm/calls/reading.h"
#include "vmm/calls/words.h"
#include "vmm/scenario/expect_reading.h"
#include "vmm/scenario/linux_reading.h"
#include "vmm/scenario/resize_reading.h"

namespace gpremap {

namespace {

using Action = decltype(ScenarioStep::action);

Span read_span(const TomlTable& table) {
    Operand at = read_place(table, {"range", "at"});
    Operand size = read_length(table, {"size", "len"}, at);
    return {at, size};
}

// ---- fill, verify ----

void read_pattern(const TomlValue& with, PatternAction& action) {
    std::string name = with.text();
    if (name == "stamp") {
        action.pattern = abi::Pattern::stamp;
    } else if (name == "zero") {
        action.value = 0;
    } else if (name.size() == 1 && std::isalpha(static_cast<unsigned char>(name[0]))) {
        action.value = static_cast<unsigned char>(name[0]);
    } else {
        with.expected("one letter, \"zero\" or \"stamp\"");
    }
}

PatternAction read_pattern_action(const TomlValue& value, PatternAction::What what) {
    TomlTable table = value.table();
    table.only({"range", "at", "offset", "size", "len", "with", "seed"});
    PatternAction action;
    action.what = what;
    action.span = read_span(table);
    read_pattern(table.at("with", "one letter, \"zero\" or \"stamp\""), action);
    if (auto seed = table.find("seed")) {
        if (action.pattern != abi::Pattern::stamp) seed->fail("only a stamp has a seed");
        action.value = seed->integer_in(0, std::numeric_limits<int64_t>::max());
    }
    if (action.pattern == abi::Pattern::stamp && action.span.at.offset % 4096 != 0)
        action.span.at.place.fail("expected a multiple of 4 KiB, for stamps count pages");
    return action;
}

Action read_fill(const TomlValue& value) {
    return read_pattern_action(value, PatternAction::What::fill);
}
Action read_verify(const TomlValue& value) {
    return read_pattern_action(value, PatternAction::What::verify);
}

// ---- touch, copy, access, exec ----

Action read_touch(const TomlValue& value) {
    TomlTable table = value.table();
    table.only({"range", "at", "offset", "size", "len", "write"});
    TouchAction action;
    action.span = read_span(table);
    if (table.boolean_or("write", false)) action.kind = abi::FaultKind::write;
    return action;
}

Action read_copy(const TomlValue& value) {
    TomlTable table = value.table();
    table.only({"from", "to", "size", "len"});
    CopyAction action;
    action.from.at = read_address(table.at("from", address_hint));
    action.from.size = read_length(table, {"size", "len"}, action.from.at);
    action.to = read_address(table.at("to", address_hint));
    return action;
}

Action read_access(const TomlValue& value) {
    TomlTable table = value.table();
    table.only({"range", "at", "offset", "kind", "value"});
    AccessAction action;
    action.at = read_place(table, {"range", "at"});
    action.kind =
        table.at("kind", "\"read\" or \"write\"")
            .one_of<abi::FaultKind>({{"read", abi::FaultKind::read}, {"write", abi::FaultKind::write}});
    if (auto stored = table.find("value")) {
        if (action.kind == abi::FaultKind::read) stored->fail("only a write has a value");
        action.value = stored->integer_in(0, std::numeric_limits<int64_t>::max());
    }
    return action;
}

Action read_exec(const TomlValue& value) {
    TomlTable table = value.table();
    table.only({"range", "at", "offset", "through", "returns"});
    ExecAction action;
    action.at = read_place(table, {"range", "at"});
    if (auto returns = table.find("returns"))
        action.returns = static_cast<uint32_t>(returns->integer_in(0, std::numeric_limits<uint32_t>::max()));
    if (auto through = table.find("through")) {
        action.through = read_address(*through);
        // The code is written at the same offset into the other view.
        if (auto offset = table.find("offset")) action.through->offset += offset->size();
        if (!action.returns) table.at("returns", "the value that the code written through `through` returns");
    }
    return action;
}

// ---- sleep, wait, checkpoint, repeat ----

Action read_sleep(const TomlValue& value) {
    return SleepAction{read_seconds(value)};
}

Action read_wait(const TomlValue& value) {
    const TomlTable table = value.table();
    table.only({"pool", "workload", "ops", "timeout"});
    WaitAction action;
    action.place = value.place();
    if (auto pool = table.find("pool")) {
        action.pool = pool->size();
        action.place = pool->place();
    }
    if (auto workload = table.find("workload")) {
        if (action.pool) workload->fail("a step waits for one thing; begin another [[step]]");
        action.workload = read_name(*workload);
        action.place = workload->place();
        action.ops = table.at("ops", "how many operations it has done then")
                         .integer_in(1, std::numeric_limits<int64_t>::max());
    } else if (!action.pool) {
        value.fail("expected `pool`, or `workload` and `ops`");
    } else if (auto ops = table.find("ops")) {
        ops->fail("only a workload does operations");
    }
    if (auto timeout = table.find("timeout")) action.timeout = read_seconds(*timeout);
    return action;
}

Action read_checkpoint(const TomlValue& value) {
    const bool is_true = value.is_boolean() && value.boolean();
    if (!value.is_text() && !is_true) value.expected("true or a label in quotes");
    return CheckpointAction{is_true ? "" : value.text()};
}

Action read_repeat(const TomlValue& value) {
    TomlTable table = value.table();
    table.only({"times", "steps"});
    RepeatAction action;
    action.times = static_cast<unsigned>(table.at("times", "how often").integer_in(1, 1'000'000));
    const TomlValue steps = table.at("steps", "an array of steps");
    for (const TomlTable& step : steps.tables()) action.steps.push_back(read_step(step));
    if (action.steps.empty()) steps.fail("expected at least one step");
    return action;
}

// ---- the step ----

using Reader = Action (*)(const TomlValue&);

const std::map<std::string, Reader, std::less<>>& own_verbs() {
    static const std::map<std::string, Reader, std::less<>> verbs{
        {"fill", read_fill},
        {"verify", read_verify},
        {"touch", read_touch},
        {"copy", read_copy},
        {"access", read_access},
        {"exec", read_exec},
        {"sleep", read_sleep},
        {"repeat", read_repeat},
        {"checkpoint", read_checkpoint},
        {"inflate", [](const TomlValue& value) -> Action { return read_inflate(value); }},
        {"resize", [](const TomlValue& value) -> Action { return read_resize(value); }},
        {"wait", read_wait},
        {"plug", [](const TomlValue& value) -> Action { return read_plug(value); }},
        {"unplug", [](const TomlValue& value) -> Action { return read_unplug(value); }},
        {"command", [](const TomlValue& value) -> Action { return read_command(value); }},
    };
    return verbs;
}

bool is_verb(std::string_view name) {
    return own_verbs().contains(name) || name == "batch" || find_call(name);
}

Action read_action(const TomlValue& value) {
    if (auto verb = own_verbs().find(value.name()); verb != own_verbs().end()) return verb->second(value);
    if (value.name() == "batch") return read_batch(value, ScenarioWords(), 1, GPREMAP_MAX_BATCH);
    return read_call(*find_call(value.name()), value, ScenarioWords());
}

std::string all_verbs() {
    std::string all = call_verbs() + ", batch";
    for (const auto& [name, reader] : own_verbs()) all += ", " + name;
    return all;
}

// What may stand beside what a step does.
constexpr std::array<std::string_view, 7> beside_verbs{"vcpu",   "at",       "track", "label",
                                                       "during", "deadline", "expect"};

// The one key of a step that is none of these.
TomlValue find_verb(const TomlTable& table) {
    std::optional<TomlValue> verb;
    for (const TomlValue& value : table.values()) {
        if (std::ranges::find(beside_verbs, value.name()) != beside_verbs.end()) continue;
        if (!is_verb(value.name()))
            value.fail(fmt::format("not a step, and not {} beside one; known are {}",
                                   fmt::join(beside_verbs, ", "), all_verbs()));
        if (verb)
            value.fail(fmt::format("this step is a '{}' already; begin another [[step]]", verb->name()));
        verb = value;
    }
    if (!verb) table.fail("a step that does nothing; expected one of " + all_verbs());
    return *verb;
}

// "heap new_size=512MiB flags=MAYMOVE"
std::string summarize(const TomlValue& verb) {
    if (verb.name() == "repeat" || verb.name() == "batch") return "";
    if (!verb.is_table()) return verb.is_boolean() ? "" : verb.as_written();
    std::string all;
    for (const TomlValue& value : verb.table().values()) {
        bool plain = value.name() == "range" || (value.name() == "name" && all.empty());
        all += fmt::format("{}{}{}{}", all.empty() ? "" : " ", plain ? "" : value.name(), plain ? "" : "=",
                           value.as_written());
    }
    return all;
}

// A size of 0 is refused by every call but for the duplicates that Linux makes of nothing. Where that is what
// the step is to show, it says so.
void require_sizes(const CallAction& call) {
    const CallRow& row = *find_call(call.number);
    for (size_t i = 0; i < call.args.size(); i++) {
        const Operand& size = call.args[i].value;
        const bool duplicates =
            row.duplicates_from_nothing && row.parameters[i].role == Parameter::Role::source_size;
        if (row.parameters[i].kind == Parameter::Kind::size && size.is_zero() && !duplicates)
            size.place.fail("a size of 0 is an error; expected another, or an `expect` with its errno");
    }
}

void require_sizes(const ScenarioStep& step) {
    if (!step.expect.success()) return;
    if (const auto* call = std::get_if<CallAction>(&step.action)) require_sizes(*call);
    if (const auto* batch = std::get_if<BatchAction>(&step.action))
        for (const CallAction& call : batch->calls) require_sizes(call);
}

// As long as Linux lets a thread's name be.
std::string read_track(const TomlValue& value) {
    constexpr size_t longest = 15;
    const std::string name = read_name(value);
    if (name.size() > longest) value.expected("a name of at most 15 characters");
    return name;
}

template <typename... Actions>
bool is_one_of(const Action& action) {
    return (std::holds_alternative<Actions>(action) || ...);
}

double read_deadline_of(const TomlValue& value, const Action& action) {
    if (is_one_of<SleepAction, WaitAction, CheckpointAction, RepeatAction>(action))
        value.fail("only what the guest does has a deadline: a step that makes a call or uses memory");
    return read_deadline(value);
}

void read_time_and_place(const TomlTable& table, ScenarioStep& step) {
    if (auto vcpu = table.find("vcpu")) {
        step.vcpu = static_cast<unsigned>(vcpu->integer_in(0, abi::max_vcpus - 1));
        step.vcpu_place = vcpu->place();
    }
    if (auto at = table.find("at")) step.at = read_seconds(*at);
    if (auto deadline = table.find("deadline")) step.deadline = read_deadline_of(*deadline, step.action);
    if (auto track = table.find("track")) {
        step.track = read_track(*track);
        step.track_place = track->place();
    }
    if (auto label = table.find("label")) {
        step.label = read_name(*label);
        step.label_place = label->place();
    }
    if (auto during = table.find("during")) {
        step.during = read_name(*during);
        step.during_place = during->place();
    }
}

}  // namespace

ScenarioStep read_step(const TomlTable& table) {
    TomlValue verb = find_verb(table);
    ScenarioStep step;
    step.verb = verb.name();
    step.place = verb.place();
    step.action = read_action(verb);
    step.summary = summarize(verb);
    read_time_and_place(table, step);
    if (auto expect = table.find("expect")) step.expect = read_expect(*expect, step);
    require_sizes(step);
    return step;
}

}  // namespace gpremap
