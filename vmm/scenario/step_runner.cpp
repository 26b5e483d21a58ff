#include "vmm/scenario/step_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <thread>

#include "vmm/base/errno_names.h"
#include "vmm/base/errors.h"
#include "vmm/base/units.h"
#include "vmm/calls/effect.h"
#include "vmm/guests/agent/world.h"
#include "vmm/scenario/dry_run.h"

namespace gpremap {

namespace {

constexpr int64_t highest_errno = 4095;

bool is_error(int64_t returned) {
    return returned < 0 && returned >= -highest_errno;
}

// Where the agent keeps a batch or the extents of a query: what its mailbox's page has left.
constexpr uint64_t buffer_offset = (sizeof(abi::Mailbox) + 63) / 64 * 64;
constexpr uint64_t buffer_size = layout::page - buffer_offset;
constexpr uint64_t max_extents = buffer_size / sizeof(abi::ExtentInfo);
static_assert(max_scenario_batch * sizeof(abi::BatchCall) <= buffer_size);
static_assert(sizeof(abi::BatchCall) <= abi::Step::inline_bytes);

uint64_t buffer_of(unsigned vcpu) {
    return layout::mailbox(vcpu) + buffer_offset;
}

abi::Step step_of(abi::Op op, std::initializer_list<uint64_t> arguments) {
    abi::Step step = {};
    step.op = op;
    std::copy(arguments.begin(), arguments.end(), step.arg);
    return step;
}

void fail(StepResult& result, const std::string& problem) {
    result.ok = false;
    result.problem += (result.problem.empty() ? "" : "; ") + problem;
}

std::string_view name_of(abi::FaultKind kind) {
    switch (kind) {
        case abi::FaultKind::read:
            return "read";
        case abi::FaultKind::write:
            return "write";
        case abi::FaultKind::execute:
            return "execute";
    }
    return "?";
}

std::string describe(const abi::Fault& fault) {
    std::string text = fmt::format("{} fault at {:#x} (vCPU {}, rip {:#x}", name_of(fault.kind),
                                   fault.address, fault.vcpu, fault.rip);
    if (fault.cause == abi::FaultCause::exception)
        text += fmt::format(", exception {}, error code {:#x}", fault.vector, fault.error_code);
    return text + ")";
}

std::vector<uint64_t> resolve(const CallAction& action, const Names& names) {
    std::vector<uint64_t> values;
    for (const Argument& argument : action.args) values.push_back(argument.value.in(names));
    return values;
}

void note(StepResult& result, std::string_view label, uint64_t value) {
    result.args[std::string(label)] = value;
}

void note_arguments(const CallAction& action, const std::vector<uint64_t>& values, JsonObject& args) {
    if (action.source && action.source->at.kind == Operand::Kind::address_of)
        args["range"] = action.source->at.range;
    if (!action.name.empty()) args["name"] = action.name;
    for (size_t i = 0; i < values.size(); i++) args[std::string(action.args[i].label)] = values[i];
}

}  // namespace

// ---- the order of things ----

void StepRunner::run(const std::vector<ScenarioStep>& steps) {
    for (const ScenarioStep& step : steps) {
        if (const auto* repeat = std::get_if<RepeatAction>(&step.action)) {
            run_repeat(*repeat);
        } else if (const auto* inflate = std::get_if<InflateAction>(&step.action)) {
            run_inflate(step, *inflate);
        } else {
            run(step);
        }
    }
}

void StepRunner::run_repeat(const RepeatAction& action) {
    for (unsigned turn = 0; turn < action.times; turn++) run(action.steps);
}

void StepRunner::run(const ScenarioStep& step) {
    step_ = &step;
    if (watcher_.begins) watcher_.begins(step);
    StepResult result;
    result.call = step.verb;
    result.summary = step.summary;
    try {
        std::visit([&](const auto& action) { act(action, result); }, step.action);
    } catch (const ConfigError& error) {
        // A name that an earlier step would have defined, had it not failed. Tells its own place.
        fail(result, error.what());
        return finish(std::move(result));
    } catch (const GuestDied&) {
        fail(result, "the guest died");
        finish(std::move(result));
        throw;
    }
    if (!result.ok)
        result.problem = fmt::format("{}:{}: {}", step.place.file, step.place.line, result.problem);
    finish(std::move(result));
}

void StepRunner::finish(StepResult result) {
    result.index = results_.size();
    results_.push_back(std::move(result));
    if (watcher_.done) watcher_.done(results_.back());
}

CallAction resize_call(const InflateAction& action, uint64_t before, uint64_t size) {
    const std::string& name = action.range.range;
    Span whole{action.range, {Operand::Kind::size_of, name, 0, action.range.place}};
    CallAction resize;
    resize.number = size < before ? abi::Call::shrink : abi::Call::grow;
    resize.effect = Effect::relocates;
    resize.source = whole;
    resize.new_size = {Operand::Kind::number, "", size, action.range.place};
    resize.args = {{"at", whole.at}, {"len", whole.size}, {"new_len", resize.new_size}};
    if (resize.number == abi::Call::grow)
        resize.args.push_back({"flags", {Operand::Kind::number, "", GPREMAP_FLAG_MAY_MOVE, {}}});
    return resize;
}

uint64_t scheduled_size(const InflateAction& action, unsigned done, uint64_t granule) {
    double fraction = static_cast<double>(done) / action.steps;
    double from = static_cast<double>(action.from);
    double size = from + (static_cast<double>(action.to) - from) * fraction;
    return std::max(granule, static_cast<uint64_t>(size) / granule * granule);
}

void StepRunner::run_inflate(const ScenarioStep& step, const InflateAction& action) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point begin = Clock::now();
    for (unsigned done = 0; done <= action.steps; done++) {
        std::chrono::duration<double> due(action.seconds * done / action.steps);
        std::this_thread::sleep_until(begin + std::chrono::duration_cast<Clock::duration>(due));
        uint64_t size = scheduled_size(action, done, granule_);
        const NamedRange* range = names_.find(action.range.range);
        if (range && range->size == size) continue;
        ScenarioStep resize = step;
        resize.summary = fmt::format("{} to {}", action.range.range, format_size(size));
        resize.action = resize_call(action, range ? range->size : 0, size);
        run(resize);
    }
}

// ---- judging ----

// Of anything that touches memory: whether it faulted, and whether it was to.
StepRunner::Went StepRunner::judge_access(const abi::Report& report, StepResult& result) const {
    const auto& expected = step_->expect.fault;
    if (report.outcome != abi::Outcome::fault) {
        if (!expected) return Went::on;
        fail(result, fmt::format("expected a {} fault, but nothing faulted", name_of(expected->kind)));
        return Went::wrong;
    }
    result.outcome = describe(report.fault);
    if (!expected) {
        fail(result, "unexpected " + describe(report.fault));
    } else if (expected->kind != report.fault.kind) {
        fail(result,
             fmt::format("expected a {} fault, got a {}", name_of(expected->kind), describe(report.fault)));
    } else if (expected->address && expected->address->in(names_) != report.fault.address) {
        fail(result, fmt::format("expected a fault at {:#x}, got a {}", expected->address->in(names_),
                                 describe(report.fault)));
    } else {
        result.outcome = fmt::format("{} fault at {}, as expected", name_of(report.fault.kind),
                                     format_address(report.fault.address));
    }
    return Went::wrong;
}

StepRunner::Went StepRunner::judge_errno(int64_t returned, StepResult& result) const {
    const auto& expected = step_->expect.error;
    if (is_error(returned)) result.error = errno_name(-returned);
    if (!is_error(returned)) {
        if (expected)
            fail(result, fmt::format("expected {}, but the call succeeded with {:#x}", errno_name(*expected),
                                     returned));
        return Went::on;
    }
    result.outcome = fmt::format("{}, as expected", *result.error);
    if (expected != -returned)
        fail(result,
             fmt::format("expected {}, got {}", expected ? errno_name(*expected) : "success", *result.error));
    return Went::wrong;
}

void StepRunner::judge_address(const CallAction& action, uint64_t returned, StepResult& result) const {
    const Expect& expect = step_->expect;
    if (action.effect == Effect::none || action.effect == Effect::unmaps ||
        action.effect == Effect::exchanges) {
        result.outcome = "ok";
        return;
    }
    uint64_t now_at = place_of_result(action, returned, names_);
    result.outcome = "at " + format_address(now_at);
    if (action.effect == Effect::relocates) {
        result.moved = now_at != action.source->at.in(names_);
        if (*result.moved) result.outcome = "moved to " + format_address(now_at);
    }
    if (expect.at && expect.at->in(names_) != now_at)
        fail(result, fmt::format("expected the result at {:#x}, got {:#x}", expect.at->in(names_), now_at));
    if (expect.moved && *expect.moved != *result.moved)
        fail(result, fmt::format("expected the range {}, but it {}", *expect.moved ? "to move" : "to stay",
                                 *result.moved ? "moved" : "stayed"));
}

// ---- calls ----

Performed StepRunner::perform(const abi::Step& step, StepResult& result) {
    Performed performed = perform(step);
    result.guest_ns = performed.guest_ns;
    result.kvm = performed.kvm;
    return performed;
}

Performed StepRunner::call(abi::Call number, const std::vector<uint64_t>& arguments, StepResult& result) {
    abi::Step step = step_of(abi::Op::call, {static_cast<uint64_t>(number)});
    std::copy(arguments.begin(), arguments.end(), step.arg + 1);
    Performed performed = perform(step, result);
    result.record = performed.call;
    if (!is_error(performed.report.result)) result.result = static_cast<uint64_t>(performed.report.result);
    return performed;
}

// By the guest's ranges and the warm pool: what goes from one to the other is not the host's.
uint64_t StepRunner::held_bytes() const {
    return machine_.remapper().resident_bytes() + machine_.remapper().pool().resident;
}

void StepRunner::act(const CallAction& action, StepResult& result) {
    std::vector<uint64_t> arguments = resolve(action, names_);
    note_arguments(action, arguments, result.args);
    result.bytes = action.source ? action.source->size.in(names_) : action.new_size.in(names_);
    bool query = action.number == abi::Call::query;
    if (query) arguments.insert(arguments.end(), {buffer_of(step_->vcpu), max_extents});

    bool returns_memory = gives_memory_back(action.number, arguments);
    uint64_t held = returns_memory ? held_bytes() : 0;
    int64_t returned = call(action.number, arguments, result).report.result;
    if (judge_errno(returned, result) == Went::wrong) return;

    if (returns_memory) {
        uint64_t holds = held_bytes();
        result.host_returned = held > holds ? held - holds : 0;
    }
    uint64_t value = static_cast<uint64_t>(returned);
    judge_address(action, value, result);
    if (query) {
        result.extents = read_extents(value);
        result.outcome = fmt::format("{} extent{}", value, value == 1 ? "" : "s");
    }
    follow_call(action, value, names_);
}

void StepRunner::act(const BatchAction& action, StepResult& result) {
    // Later calls mean ranges where earlier ones put them; that is known where they say where.
    Names expected = names_;
    uint64_t at = buffer_of(step_->vcpu);
    result.args["calls"] = JsonObject::array();
    for (size_t i = 0; i < action.calls.size(); i++) {
        const CallAction& entry = action.calls[i];
        std::vector<uint64_t> arguments = resolve(entry, expected);
        JsonObject args = JsonObject::object();
        note_arguments(entry, arguments, args);
        result.args["calls"].push_back(args);
        abi::BatchCall batched = {};
        batched.number = static_cast<uint64_t>(entry.number);
        std::copy(arguments.begin(), arguments.end(), batched.arg);
        write_agent(at + i * sizeof batched, &batched, sizeof batched);
        result.bytes += entry.source ? entry.source->size.in(expected) : entry.new_size.in(expected);
        follow_call(entry,
                    predicted_result(entry, expected, entry.source ? entry.source->at.in(expected) : 0),
                    expected);
    }
    int64_t returned = call(abi::Call::batch, {at, action.calls.size()}, result).report.result;
    result.summary = fmt::format("{} calls", action.calls.size());
    if (judge_errno(returned, result) == Went::wrong) return;
    result.outcome = "ok";
    for (size_t i = 0; i < action.calls.size(); i++)
        follow_call(action.calls[i],
                    read_agent(at + i * sizeof(abi::BatchCall) + offsetof(abi::BatchCall, result)), names_);
}

// ---- the agent's buffer ----

void StepRunner::write_agent(uint64_t at, const void* bytes, size_t size) {
    abi::Step step = step_of(abi::Op::write, {at, size});
    std::memcpy(step.bytes, bytes, size);
    perform(step);
}

uint64_t StepRunner::read_agent(uint64_t at) {
    abi::Step step = step_of(abi::Op::access, {at, static_cast<uint64_t>(abi::FaultKind::read)});
    return static_cast<uint64_t>(perform(step).report.result);
}

std::vector<abi::ExtentInfo> StepRunner::read_extents(uint64_t count) {
    std::vector<abi::ExtentInfo> extents(std::min(count, max_extents));
    uint64_t at = buffer_of(step_->vcpu);
    for (abi::ExtentInfo& extent : extents) {
        std::array<uint64_t, sizeof(abi::ExtentInfo) / 8> words;
        for (uint64_t& word : words) {
            word = read_agent(at);
            at += 8;
        }
        std::memcpy(&extent, words.data(), sizeof extent);
    }
    return extents;
}

// ---- memory ----

uint64_t StepRunner::first_stamp_page(const Operand& at) const {
    if (at.kind != Operand::Kind::address_of) return 0;
    return names_.find(at.range)->first_page + at.offset / 4096;
}

void StepRunner::act(const PatternAction& action, StepResult& result) {
    uint64_t at = action.span.at.in(names_);
    uint64_t size = action.span.size.in(names_);
    bool verifies = action.what == PatternAction::What::verify;
    note(result, "at", at);
    note(result, "size", size);
    result.bytes = size;
    abi::Step step = step_of(
        verifies ? abi::Op::verify : abi::Op::fill,
        {at, size, static_cast<uint64_t>(action.pattern), action.value, first_stamp_page(action.span.at)});
    abi::Report report = perform(step, result).report;
    if (judge_access(report, result) == Went::wrong) return;
    result.outcome = fmt::format("{} {}", format_size(size), verifies ? "match" : "filled");
    if (report.outcome == abi::Outcome::mismatch)
        fail(result,
             fmt::format("the byte at {:#x} (offset {:#x}) is {:#04x}, expected {:#04x}", report.mismatch_at,
                         report.mismatch_at - at, report.mismatch_found, report.mismatch_expected));
}

void StepRunner::act(const TouchAction& action, StepResult& result) {
    constexpr uint64_t stride = 4096;
    uint64_t at = action.span.at.in(names_);
    uint64_t size = action.span.size.in(names_);
    bool writes = action.kind == abi::FaultKind::write;
    note(result, "at", at);
    note(result, "size", size);
    result.bytes = size;
    abi::Step step = step_of(abi::Op::touch, {at, size, writes ? 1u : 0u, stride});
    if (judge_access(perform(step, result).report, result) == Went::wrong) return;
    result.outcome = fmt::format("{} words {}", (size + stride - 1) / stride, writes ? "written" : "read");
}

void StepRunner::act(const CopyAction& action, StepResult& result) {
    uint64_t from = action.from.at.in(names_);
    uint64_t size = action.from.size.in(names_);
    uint64_t to = action.to.in(names_);
    note(result, "from", from);
    note(result, "to", to);
    note(result, "size", size);
    result.bytes = size;
    abi::Step step = step_of(abi::Op::copy, {from, to, size});
    if (judge_access(perform(step, result).report, result) == Went::wrong) return;
    result.outcome = format_size(size) + " copied";
}

void StepRunner::act(const AccessAction& action, StepResult& result) {
    uint64_t at = action.at.in(names_);
    note(result, "at", at);
    result.bytes = 8;
    abi::Step step = step_of(abi::Op::access, {at, static_cast<uint64_t>(action.kind), action.value});
    abi::Report report = perform(step, result).report;
    if (judge_access(report, result) == Went::wrong) return;
    if (action.kind == abi::FaultKind::read) result.result = static_cast<uint64_t>(report.result);
    result.outcome = action.kind == abi::FaultKind::read ? fmt::format("read {:#x}", *result.result)
                                                         : fmt::format("wrote {:#x}", action.value);
}

void StepRunner::act(const ExecAction& action, StepResult& result) {
    uint64_t at = action.at.in(names_);
    note(result, "at", at);
    if (action.through) {
        uint64_t through = action.through->in(names_);
        note(result, "through", through);
        // mov eax, imm32; ret
        std::array<uint8_t, 6> code{0xb8, 0, 0, 0, 0, 0xc3};
        std::memcpy(code.data() + 1, &*action.returns, 4);
        abi::Step step = step_of(abi::Op::write, {through, code.size()});
        std::copy(code.begin(), code.end(), step.bytes);
        if (judge_access(perform(step).report, result) == Went::wrong && !step_->expect.fault) return;
    }
    result.bytes = 0;
    abi::Report report = perform(step_of(abi::Op::exec, {at}), result).report;
    if (judge_access(report, result) == Went::wrong) return;
    uint32_t returned = static_cast<uint32_t>(report.result);
    result.result = returned;
    result.outcome = fmt::format("returned {}", returned);
    if (action.returns && *action.returns != returned)
        fail(result, fmt::format("expected the code to return {}, got {}", *action.returns, returned));
}

// ---- the rest ----

void StepRunner::act(const SleepAction& action, StepResult& result) {
    std::this_thread::sleep_for(std::chrono::duration<double>(action.seconds));
    result.outcome = "ok";
}

void StepRunner::act(const CheckpointAction&, StepResult& result) {
    std::vector<MapEntry> map = machine_.remapper().map();
    result.outcome = fmt::format("{} extent{}", map.size(), map.size() == 1 ? "" : "s");
    if (watcher_.checkpoint) watcher_.checkpoint(map);
}

}  // namespace gpremap
