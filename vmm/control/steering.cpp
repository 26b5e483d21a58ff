#include "vmm/control/steering.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "vmm/base/errno_names.h"
#include "vmm/base/errors.h"
#include "vmm/base/units.h"
#include "vmm/calls/effect.h"
#include "vmm/control/arguments.h"
#include "vmm/guests/agent/orders.h"
#include "vmm/report/json.h"
#include "vmm/scenario/judging.h"

namespace gpremap {

namespace {

constexpr size_t most_extents = 1000;  // of one answer

CallError refused(int64_t result) {
    const std::string name = errno_name(-result);
    return {ErrorCode::refused, "the call is refused: " + name, {{"errno", name}, {"amount", 0}}};
}

void note_record(const std::optional<CallRecord>& record, JsonObject& json) {
    if (!record) return;
    json["bytes"] = record->bytes;
    json["moved"] = record->moved;
    json["huge_kept"] = record->huge_kept;
    json["mechanism"] = record->mechanism ? JsonObject(name_of(*record->mechanism)) : JsonObject();
    json["call_ns"] = record->call_ns;
}

abi::BatchCall call_of(const CallAction& action, const Names& names) {
    abi::BatchCall call = {};
    call.number = static_cast<uint64_t>(action.number);
    std::ranges::copy(values_of(action, names), call.arg);
    return call;
}

}  // namespace

Steering::Steering(ControlTarget target, RunState& state, EventRing& events, Jobs& jobs,
                   std::function<bool()> is_ending)
    : target_(std::move(target)),
      state_(state),
      events_(events),
      jobs_(jobs),
      is_ending_(std::move(is_ending)) {}

JsonObject Steering::perform(const Request& request) {
    if (request.method == "resume") {
        end_pause();
        return {{"paused", false}};
    }
    // A vCPU's own call may be held up in the middle by the pause, with the map locked.
    if (is_paused_) throw CallError(ErrorCode::paused, "the vCPUs are paused");
    if (request.method == "pause") return pause();
    if (request.method == "stats") return stats();
    if (request.method == "query") return query(request.params);
    if (request.method == "batch") return batch(request.params);
    if (request.method == "checkpoint")
        return {{"file", target_.checkpoint(request.params.value("file", ""))}};
    if (request.method.starts_with("workload.")) return workload(request);
    return call(*find_call(request.method), request.params);
}

// ---- what only looks ----

JsonObject Steering::stats() const {
    JsonObject json = {{"t_ns", now_ns()}};
    json.update(target_.stats());
    for (const auto& [state, count] : jobs_.counts()) json["jobs"][state] = count;
    json["events"] = {{"oldest", events_.oldest()}, {"next", events_.next()}};
    return json;
}

JsonObject Steering::query(const JsonObject& arguments) const {
    uint64_t first = 0, last = ~uint64_t{0};
    if (!arguments.empty()) {
        const Names names = state_.names();
        const Span span = read_span(arguments);
        first = value_of(span.at, names);
        const uint64_t size = value_of(span.size, names);
        last = size == 0 ? first : size - 1 > ~first ? ~uint64_t{0} : first + size - 1;
    }
    JsonObject extents = JsonObject::array(), more = nullptr;
    for (const MapEntry& entry : target_.map()) {
        if (entry.at > last || entry.at + entry.size <= first) continue;
        if (extents.size() == most_extents) {
            more = entry.at;
            break;
        }
        extents.push_back(json_of(entry));
    }
    return {{"extents", extents}, {"more", more}};
}

// ---- calls of the host's ----

// Between two steps of each track. What reads addresses from names and then uses them has it.
Floor::Turn Steering::wait_for_floor() const {
    auto turn = state_.floor().alone(is_ending_);
    if (!turn) throw CallError(ErrorCode::ending, "the run is about to end");
    return std::move(*turn);
}

MadeCalls Steering::make(std::span<const CallAction> calls, const Names& names, abi::Step& step,
                         const JsonObject& about, const Make& how) {
    const uint64_t begin = now_ns();
    events_.tell("begun", begin, about);
    Companions* const companions = target_.companions;
    if (companions) companions->before(calls, names, target_.vcpu.value_or(0), step);
    MadeCalls made;
    try {
        made = how(step);
    } catch (const GuestDied&) {
        throw;
    } catch (...) {
        if (companions) companions->after(calls, state_.names());
        throw;
    }
    if (!is_error(made.result)) {
        Names current = names;
        for (size_t i = 0; i < calls.size(); i++) {
            const auto result =
                static_cast<uint64_t>(made.results.empty() ? made.result : made.results.at(i));
            state_.follow(calls[i], result, current);
            follow_call(calls[i], result, current, current);
        }
    }
    if (companions) companions->after(calls, state_.names());
    JsonObject done = about;
    done["begin_ns"] = begin;
    done["errno"] = is_error(made.result) ? JsonObject(errno_name(-made.result)) : JsonObject();
    if (!is_error(made.result)) done["result"] = static_cast<uint64_t>(made.result);
    note_record(made.record, done);
    events_.tell("done", now_ns(), done);
    return made;
}

JsonObject Steering::call(const CallRow& row, const JsonObject& arguments) {
    const CallAction action = read_action(row, arguments);
    const auto turn = wait_for_floor();
    const Names names = state_.names();
    const abi::BatchCall call = call_of(action, names);
    abi::Step none = {};
    const JsonObject about = {{"by", "client"}, {"call", row.verb}, {"arguments", arguments}};
    const MadeCalls made =
        make({&action, 1}, names, none, about, [&](abi::Step&) { return target_.call(call); });
    if (is_error(made.result)) throw refused(made.result);
    JsonObject result = {{"result", static_cast<uint64_t>(made.result)}};
    note_record(made.record, result);
    return result;
}

namespace {

// Later calls mean ranges where earlier ones put them, as far as that is known.
std::vector<abi::BatchCall> batch_calls(const BatchAction& action, Names names) {
    std::vector<abi::BatchCall> calls;
    for (const CallAction& entry : action.calls) {
        calls.push_back(call_of(entry, names));
        const uint64_t otherwise = entry.source ? value_of(entry.source->at, names) : 0;
        follow_call(entry, predicted_result(entry, names, otherwise), names, names);
    }
    return calls;
}

}  // namespace

JsonObject Steering::batch(const JsonObject& arguments) {
    const BatchAction action = read_batch_action(arguments);
    const auto turn = wait_for_floor();
    const Names names = state_.names();
    const std::vector<abi::BatchCall> calls = batch_calls(action, names);
    abi::Step none = {};
    const JsonObject about = {{"by", "client"}, {"call", "batch"}, {"calls", calls.size()}};
    const MadeCalls made =
        make(action.calls, names, none, about, [&](abi::Step&) { return target_.batch(calls); });
    if (is_error(made.result)) throw refused(made.result);
    JsonObject result = {{"results", made.results}};
    note_record(made.record, result);
    return result;
}

// ---- workloads, pause ----

JsonObject Steering::workload(const Request& request) {
    const auto turn = wait_for_floor();
    const auto name = request.params.at("name").get<std::string>();
    const bool starts = request.method == "workload.start";
    const std::string why = starts ? target_.start_workload(name) : target_.stop_workload(name);
    if (!why.empty()) throw CallError(ErrorCode::no_such, name + ": " + why);
    const JsonObject state = {{"workload", name}, {"state", starts ? "running" : "stopped"}};
    events_.tell("workload", now_ns(), state);
    return state;
}

JsonObject Steering::pause() {
    target_.pause();
    is_paused_ = true;
    events_.tell("paused", now_ns(), JsonObject::object());
    return {{"paused", true}};
}

void Steering::end_pause() {
    if (!is_paused_.exchange(false)) return;
    target_.resume();
    events_.tell("resumed", now_ns(), JsonObject::object());
}

// ---- jobs ----

namespace {

constexpr uint64_t default_piece = 64ull << 20;

CallAction resize_action(const JsonObject& job, std::string_view verb, const JsonObject& new_size) {
    JsonObject arguments = {{"range", job.at("range")}, {"new_size", new_size}};
    if (verb == "grow" && job.value("may_move", false)) arguments["may_move"] = true;
    return read_action(*find_call(verb), arguments);
}

}  // namespace

void Steering::check(const JsonObject& job) {
    resize_action(job, "grow", job.at("new_size"));
    if (size_or(job, "piece", default_piece) == 0)
        throw CallError(ErrorCode::bad_arguments, "piece: expected a size above 0");
}

void Steering::perform(const Job& job) {
    Job now = job;
    Resizing resizing;
    const uint64_t piece = size_or(job.params, "piece", default_piece);
    resizing.piece = std::max(piece / target_.granule, uint64_t{1}) * target_.granule;
    try {
        while (!resizing.is_over) perform_piece(now, resizing);
    } catch (const CallError& error) {
        resizing.why = error.what();
    } catch (...) {
        jobs_.finish(job.id, "the run has failed", "");
        throw;
    }
    jobs_.finish(job.id, resizing.why, resizing.error);
}

void Steering::perform_piece(Job& job, Resizing& resizing) {
    const auto turn = state_.floor().alone([&] { return !jobs_.reason_to_end(job).empty(); });
    resizing.why = jobs_.reason_to_end(job);
    if (!target_.vcpu) resizing.why = "workloads have all vCPUs";
    resizing.is_over = !turn || !resizing.why.empty();
    if (!resizing.is_over) resize_once(job, resizing, state_.names());
}

void Steering::resize_once(Job& job, Resizing& resizing, const Names& names) {
    const auto range = job.params.at("range").get<std::string>();
    const NamedRange* named = names.find(range);
    resizing.is_over = true;
    if (!named || named->state == NamedRange::State::unmapped)
        throw CallError(ErrorCode::refused, fmt::format("there is no range '{}'", range));
    const uint64_t size = named->size;
    if (!resizing.target) {
        resizing.target =
            value_of(resize_action(job.params, "grow", job.params.at("new_size")).new_size, names);
        job.wanted = std::max(*resizing.target, size) - std::min(*resizing.target, size);
        jobs_.note(job.id, job.wanted, 0);
    }
    const uint64_t target = *resizing.target;
    if (size == target) return;
    const bool grows = size < target;
    const uint64_t rest = grows ? target - size : size - target;
    const uint64_t next = rest <= resizing.piece ? target
                          : grows                ? size + resizing.piece
                                                 : size - resizing.piece;
    const CallAction action = resize_action(job.params, grows ? "grow" : "shrink", next);
    abi::Step step = order::call(action.number, values_of(action, names));
    const JsonObject about = {{"by", "guest"},
                              {"call", grows ? "grow" : "shrink"},
                              {"job", job.id},
                              {"arguments", {{"range", range}, {"new_size", next}}}};
    const MadeCalls made = make({&action, 1}, names, step, about, [&](abi::Step& with_more) {
        return made_by_guest(target_.perform(*target_.vcpu, with_more));
    });
    if (is_error(made.result)) {
        resizing.error = errno_name(-made.result);
        resizing.why = fmt::format("the guest's call is refused: {}", resizing.error);
        return;
    }
    job.amount += grows ? next - size : size - next;
    jobs_.note(job.id, job.wanted, job.amount);
    resizing.is_over = next == target;
}

}  // namespace gpremap
