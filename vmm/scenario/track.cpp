#include "vmm/scenario/track.h"

#include <fmt/format.h>

#include <algorithm>

#include "vmm/base/deadline.h"
#include "vmm/base/errno_names.h"
#include "vmm/base/errors.h"
#include "vmm/base/units.h"
#include "vmm/calls/catalogue.h"
#include "vmm/calls/effect.h"
#include "vmm/kvm/vm.h"
#include "vmm/scenario/judging.h"

namespace gpremap {

namespace {

std::vector<uint64_t> resolve(const CallAction& action, const Names& names) {
    std::vector<uint64_t> values;
    for (const Argument& argument : action.args) values.push_back(argument.value.in(names));
    return values;
}

void note_argument(StepResult& result, std::string_view label, uint64_t value) {
    result.args[std::string(label)] = value;
}

void note_arguments(const CallAction& action, const std::vector<uint64_t>& values, JsonObject& args) {
    if (action.source && action.source->at.kind == Operand::Kind::address_of)
        args["range"] = action.source->at.range;
    if (!action.name.empty()) args["name"] = action.name;
    for (size_t i = 0; i < values.size(); i++) args[std::string(action.args[i].label)] = values[i];
}

// As a file states it: "stamp" and its seed, "zero", or a letter.
void note_pattern(const PatternAction& action, JsonObject& args) {
    const bool stamps = action.pattern == abi::Pattern::stamp;
    args["with"] = stamps              ? "stamp"
                   : action.value == 0 ? "zero"
                                       : std::string(1, static_cast<char>(action.value));
    if (stamps) args["seed"] = action.value;
}

}  // namespace

Track::Track(RunContext& context, RunState& state)
    : context_(context),
      state_(state),
      orders_(context.target.memory,
              [this](unsigned vcpu, const abi::Step& step) { return perform_calls(vcpu, step); }) {}

// ---- calls ----

void Track::note(const Performed& performed, StepResult& result) {
    result.guest_ns = performed.guest_ns;
    result.kvm = performed.kvm;
}

int64_t Track::note_call(const Performed& performed, StepResult& result) {
    note(performed, result);
    result.record = performed.call;
    const int64_t returned = returned_by(performed.report, result);
    if (!is_error(returned)) result.result = static_cast<uint64_t>(returned);
    return returned;
}

// Companions are told of calls that may change something, not of queries.
Performed Track::perform_calls(unsigned vcpu, const abi::Step& step) {
    if (!context_.companions || calls_.empty()) return context_.target.perform(vcpu, step);
    abi::Step with_more = step;
    context_.companions->before(calls_, names_, vcpu, with_more);
    return context_.target.perform(vcpu, with_more);
}

void Track::end_calls() {
    if (context_.companions && !calls_.empty()) context_.companions->after(calls_, state_.names());
    calls_ = {};
}

// A schedule must end in the errno; before, it may get on.
std::optional<int64_t> Track::expected_errno(int64_t returned) const {
    if (!order_->is_last && !is_error(returned)) return std::nullopt;
    return step_->expect.error;
}

void Track::follow(const CallAction& action, uint64_t result) {
    state_.follow(action, result, names_);
    follow_call(action, result, names_, names_);
    made_ = true;
}

template <>
void Track::act(const CallAction& action, StepResult& result) {
    const std::vector<uint64_t> arguments = resolve(action, names_);
    note_arguments(action, arguments, result.args);
    result.bytes = action.source ? action.source->size.in(names_) : action.new_size.in(names_);
    if (action.number == abi::Call::query) return query(arguments.at(0), arguments.at(1), result);

    const bool returns_memory = gives_memory_back(action.number, arguments);
    const uint64_t held = returns_memory ? context_.target.held_bytes() : 0;
    calls_ = {&action, 1};
    const int64_t returned =
        note_call(perform_calls(step_->vcpu, order::call(action.number, arguments)), result);
    if (judge_errno(returned, expected_errno(returned), result) == Went::wrong) return;

    if (returns_memory) {
        const uint64_t holds = context_.target.held_bytes();
        result.host_returned = held > holds ? held - holds : 0;
    }
    judge_address(action, static_cast<uint64_t>(returned), step_->expect, names_, result);
    follow(action, static_cast<uint64_t>(returned));
}

void Track::query(uint64_t at, uint64_t size, StepResult& result) {
    Orders::Queried queried = orders_.query(step_->vcpu, at, size);
    const int64_t returned = note_call(queried.performed, result);
    if (judge_errno(returned, expected_errno(returned), result) == Went::wrong) return;
    result.result = queried.extents.size();
    result.outcome =
        fmt::format("{} extent{}", queried.extents.size(), queried.extents.size() == 1 ? "" : "s");
    result.extents = std::move(queried.extents);
}

template <>
void Track::act(const BatchAction& action, StepResult& result) {
    // Later calls mean ranges where earlier ones put them; that is known where they say where.
    Names expected = names_;
    std::vector<abi::BatchCall> calls;
    result.args["calls"] = JsonObject::array();
    for (const CallAction& entry : action.calls) {
        const std::vector<uint64_t> arguments = resolve(entry, expected);
        JsonObject args = JsonObject::object();
        note_arguments(entry, arguments, args);
        result.args["calls"].push_back(args);
        abi::BatchCall& call = calls.emplace_back();
        call.number = static_cast<uint64_t>(entry.number);
        std::ranges::copy(arguments, call.arg);
        result.bytes += entry.source ? entry.source->size.in(expected) : entry.new_size.in(expected);
        follow_call(entry,
                    predicted_result(entry, expected, entry.source ? entry.source->at.in(expected) : 0),
                    expected, expected);
    }
    calls_ = action.calls;
    const Orders::Batched batched = orders_.batch(step_->vcpu, calls);
    const int64_t returned = note_call(batched.performed, result);
    if (judge_errno(returned, expected_errno(returned), result) == Went::wrong) return;
    if (batched.results.size() < action.calls.size())
        return fail(result, fmt::format("the agent says that the batch has returned {:#x}", returned));
    result.outcome = "ok";
    for (size_t i = 0; i < action.calls.size(); i++)
        follow(action.calls[i], static_cast<uint64_t>(batched.results.at(i)));
}

template <>
void Track::act(const ResizeAction& action, StepResult& result) {
    const Operand size{Operand::Kind::size_of, action.range.range, 0, action.range.place};
    resize_ = resize_call(action, size.in(names_), order_->size);
    act(resize_, result);
    if (action.seed) result.args["seed"] = *action.seed;
}

// ---- memory ----

abi::Report Track::perform(const abi::Step& step, StepResult& result) {
    const Performed performed = context_.target.perform(step_->vcpu, step);
    note(performed, result);
    return performed.report;
}

uint64_t Track::first_stamp_page(const Operand& at) const {
    if (at.kind != Operand::Kind::address_of) return 0;
    return names_.find(at.range)->first_page + at.offset / 4096;
}

template <>
void Track::act(const PatternAction& action, StepResult& result) {
    uint64_t at = action.span.at.in(names_);
    uint64_t size = action.span.size.in(names_);
    bool verifies = action.what == PatternAction::What::verify;
    note_argument(result, "at", at);
    note_argument(result, "size", size);
    note_pattern(action, result.args);
    result.bytes = size;
    const order::Content content{action.pattern, action.value, first_stamp_page(action.span.at)};
    const abi::Report report =
        perform(verifies ? order::verify(at, size, content) : order::fill(at, size, content), result);
    if (judge_access(report, step_->expect, names_, result) == Went::wrong) return;
    result.outcome = fmt::format("{} {}", format_size(size), verifies ? "match" : "filled");
    if (report.outcome == abi::Outcome::mismatch)
        fail(result,
             fmt::format("the byte at {:#x} (offset {:#x}) is {:#04x}, expected {:#04x}", report.mismatch_at,
                         report.mismatch_at - at, report.mismatch_found, report.mismatch_expected));
}

template <>
void Track::act(const TouchAction& action, StepResult& result) {
    constexpr uint64_t stride = 4096;
    uint64_t at = action.span.at.in(names_);
    uint64_t size = action.span.size.in(names_);
    bool writes = action.kind == abi::FaultKind::write;
    note_argument(result, "at", at);
    note_argument(result, "size", size);
    result.args["write"] = writes;
    result.bytes = size;
    const abi::Report report = perform(order::touch(at, size, action.kind, stride), result);
    if (judge_access(report, step_->expect, names_, result) == Went::wrong) return;
    result.outcome = fmt::format("{} words {}", (size + stride - 1) / stride, writes ? "written" : "read");
}

template <>
void Track::act(const CopyAction& action, StepResult& result) {
    uint64_t from = action.from.at.in(names_);
    uint64_t size = action.from.size.in(names_);
    uint64_t to = action.to.in(names_);
    note_argument(result, "from", from);
    note_argument(result, "to", to);
    note_argument(result, "size", size);
    result.bytes = size;
    const abi::Report report = perform(order::copy(from, to, size), result);
    if (judge_access(report, step_->expect, names_, result) == Went::wrong) return;
    result.outcome = format_size(size) + " copied";
}

template <>
void Track::act(const AccessAction& action, StepResult& result) {
    uint64_t at = action.at.in(names_);
    note_argument(result, "at", at);
    result.bytes = 8;
    const bool writes = action.kind == abi::FaultKind::write;
    result.args["kind"] = name_of(action.kind);
    if (writes) note_argument(result, "value", action.value);
    const abi::Report report = perform(writes ? order::write(at, action.value) : order::read(at), result);
    if (judge_access(report, step_->expect, names_, result) == Went::wrong) return;
    if (writes)
        result.outcome = fmt::format("wrote {:#x}", action.value);
    else
        judge_read(static_cast<uint64_t>(report.result), step_->expect, result);
}

template <>
void Track::act(const ExecAction& action, StepResult& result) {
    uint64_t at = action.at.in(names_);
    note_argument(result, "at", at);
    if (action.returns) note_argument(result, "returns", *action.returns);
    if (action.through) {
        uint64_t through = action.through->in(names_);
        note_argument(result, "through", through);
        const std::vector<uint8_t> code = order::code_returning(*action.returns);
        const abi::Report report = context_.target.perform(step_->vcpu, order::write(through, code)).report;
        if (judge_access(report, step_->expect, names_, result) == Went::wrong && !step_->expect.fault)
            return;
    }
    result.bytes = 0;
    const abi::Report report = perform(order::exec(at), result);
    if (judge_access(report, step_->expect, names_, result) == Went::wrong) return;
    uint32_t returned = static_cast<uint32_t>(report.result);
    result.result = returned;
    result.outcome = fmt::format("returned {}", returned);
    if (action.returns && *action.returns != returned)
        fail(result, fmt::format("expected the code to return {}, got {}", *action.returns, returned));
}

// ---- the rest ----

template <>
void Track::act(const SleepAction& action, StepResult& result) {
    result.args["seconds"] = action.seconds;
    state_.pause(std::chrono::duration<double>(action.seconds), context_.watcher.sleep);
    result.outcome = "ok";
}

// ---- waiting ----

uint64_t Track::reached(const WaitAction& action) const {
    if (action.pool) return context_.target.pool_ready();
    return context_.companions ? context_.companions->ops(action.workload) : 0;
}

template <>
void Track::act(const WaitAction& action, StepResult& result) {
    constexpr std::chrono::milliseconds between(5);
    const uint64_t wanted = action.pool ? *action.pool : action.ops;
    auto in_words = [&](uint64_t value) {
        return action.pool ? format_size(value) + " in the warm pool"
                           : fmt::format("{} operations of '{}'", value, action.workload);
    };
    result.args = action.pool ? JsonObject{{"pool", wanted}}
                              : JsonObject{{"workload", action.workload}, {"ops", wanted}};
    result.args["timeout"] = action.timeout;
    const auto end = Clock::now() + std::chrono::duration<double>(action.timeout);
    uint64_t is = reached(action);
    for (; is < wanted && Clock::now() < end && !state_.reason_to_skip(*step_); is = reached(action))
        state_.pause(between, context_.watcher.sleep);
    result.outcome = in_words(is);
    if (is < wanted)
        fail(result, fmt::format("waited {} s for {}; there are {}", action.timeout, in_words(wanted),
                                 action.pool ? format_size(is) : std::to_string(is)));
}

template <>
void Track::act(const CheckpointAction& action, StepResult& result) {
    if (!action.label.empty()) result.args["label"] = action.label;
    result.map = context_.target.map();
    result.outcome = fmt::format("{} extent{}", result.map->size(), result.map->size() == 1 ? "" : "s");
    const std::lock_guard lock(context_.watched);
    if (context_.watcher.checkpoint) context_.watcher.checkpoint(*result.map);
}

// ---- one after the other ----

void Track::run(std::span<const Order* const> orders) {
    for (const Order* order : orders) run(*order);
}

StepResult Track::result_of(const Order& order) const {
    StepResult result;
    result.index = order.number;
    result.vcpu = step_->vcpu;
    result.track = step_->track;
    result.label = step_->label;
    result.call = step_->verb;
    result.row = order.row;
    result.turns = order.turns;
    result.arguments = result.summary = step_->summary;
    if (const auto* batch = std::get_if<BatchAction>(&step_->action))
        result.arguments = result.summary = fmt::format("{} calls", batch->calls.size());
    if (const auto* resize = std::get_if<ResizeAction>(&step_->action))
        result.summary = fmt::format("{} to {}", resize->range.range, format_size(order.size));
    return result;
}

// What is to be skipped does not wait until it is due; what has waited may be to be skipped.
void Track::run(const Order& order) {
    order_ = &order;
    step_ = order.step;
    state_.check();
    wait_for_others(order);
    std::optional<size_t> failed = state_.reason_to_skip(*step_);
    if (!failed) {
        wait_until_due(order);
        failed = state_.reason_to_skip(*step_);
    }
    state_.begin(order.number);
    if (failed)
        skip(*failed, result_of(order));
    else
        run(result_of(order));
}

void Track::wait_for_others(const Order& order) {
    if (order.beside) state_.wait_for_begin(*order.beside);
    if (state_.has_several_tracks()) state_.wait_for_ranges(*step_);
}

// A schedule that is behind catches up: what is due counts from its beginning.
void Track::wait_until_due(const Order& order) {
    const auto& sleep = context_.watcher.sleep;
    const std::chrono::duration<double> at(order.at), due(order.due);
    if (order.at > 0) state_.pause(at - std::chrono::nanoseconds(state_.ns_since_beginning()), sleep);
    if (order.is_first) schedule_began_ = Clock::now();
    if (order.due > 0) state_.pause(due - (Clock::now() - schedule_began_), sleep);
}

// Leaves the names alone: what it would have made is missing for the same reason.
void Track::skip(size_t failed, StepResult result) {
    state_.note(*step_, RunState::Made::no, failed);
    result.begin_ns = state_.ns_since_beginning();
    result.skipped_for = failed;
    fail(result, fmt::format("skipped: step {} failed", failed));
    finish(std::move(result));
}

// What only waits keeps nobody from the ranges.
std::optional<Floor::Turn> Track::turn_of(const ScenarioStep& step) {
    // What needs no name of a range does not keep calls from outside waiting.
    if (std::holds_alternative<SleepAction>(step.action) || std::holds_alternative<WaitAction>(step.action) ||
        std::holds_alternative<UnplugAction>(step.action) ||
        std::holds_alternative<CommandAction>(step.action))
        return std::nullopt;
    return state_.floor().step([&] {
        state_.check();
        if (context_.watcher.sleep) context_.watcher.sleep({});
    });
}

std::string Track::describe_deadline(const StepResult& result) const {
    return fmt::format(
        "{}:{}: step {} ({} {}) was not done within {} s, its deadline: the guest has not reported",
        step_->place.file, step_->place.line, result.index, result.call, result.summary, *step_->deadline);
}

void Track::run(StepResult result) {
    if (context_.watcher.begins) {
        const std::lock_guard lock(context_.watched);
        context_.watcher.begins(result);
    }
    made_ = false;
    const auto turn = turn_of(*step_);
    names_ = state_.names();
    result.begin_ns = state_.ns_since_beginning();
    std::optional<Deadline> deadline;
    if (step_->deadline) deadline.emplace(*step_->deadline, describe_deadline(result), context_.target.stop);
    try {
        result.expect = json_of(step_->expect, names_);
        visit_action(*step_, [&](const auto& action) { act(action, result); });
    } catch (const ConfigError& error) {
        // Such as an offset behind the end of a range that an earlier step has failed to grow. It tells its
        // own place.
        fail(result, error.what());
        state_.note(*step_, RunState::Made::no, result.index);
        end_calls();
        return finish(std::move(result));
    } catch (const GuestDied&) {
        fail(result, "the guest died");
        finish(std::move(result));
        throw;
    }
    end_calls();
    judge(result);
    state_.note(*step_,
                made_        ? RunState::Made::yes
                : !result.ok ? RunState::Made::no
                             : RunState::Made::nothing,
                result.index);
    if (!result.ok)
        result.problem = fmt::format("{}:{}: {}", step_->place.file, step_->place.line, result.problem);
    finish(std::move(result));
}

// Counts and times, where it has done what it was to; and those of all turns after the last.
void Track::judge(StepResult& result) {
    const bool did_work = result.record || result.guest_ns > 0;
    if (result.ok && did_work) {
        judge_bounds(step_->expect, result);
        turns_[step_].push_back({result.record ? static_cast<double>(result.record->call_ns) / 1000 : 0,
                                 static_cast<double>(result.guest_ns) / 1000});
    }
    if (order_->is_final) judge_all_turns(step_->expect, turns_[step_], result);
}

void Track::finish(StepResult result) {
    result.end_ns = state_.ns_since_beginning();
    const StepResult& kept = state_.end(std::move(result));
    const std::lock_guard lock(context_.watched);
    if (context_.watcher.done) context_.watcher.done(kept);
}

}  // namespace gpremap
