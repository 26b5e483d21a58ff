#include "vmm/scenario/judging.h"

#include <fmt/format.h>

#include <string_view>

#include "vmm/base/errno_names.h"
#include "vmm/base/spread.h"
#include "vmm/base/units.h"
#include "vmm/calls/effect.h"
#include "vmm/guests/agent/orders.h"

namespace gpremap {

namespace {

std::string describe(const abi::Fault& fault) {
    std::string text = fmt::format("{} fault at {:#x} (vCPU {}, rip {:#x}", name_of(fault.kind),
                                   fault.address, fault.vcpu, fault.rip);
    if (fault.cause == abi::FaultCause::exception)
        text += fmt::format(", exception {}, error code {:#x}", fault.vector, fault.error_code);
    return text + ")";
}

}  // namespace

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

JsonObject json_of(const Expect& expect, const Names& names) {
    JsonObject json = JsonObject::object();
    if (expect.error) json["errno"] = errno_name(*expect.error);
    if (expect.at) json["at"] = expect.at->in(names);
    if (expect.fault) {
        json["fault"] = {{"kind", name_of(expect.fault->kind)}};
        if (expect.fault->address) json["fault"]["address"] = expect.fault->address->in(names);
    }
    if (expect.moved) json["moved"] = *expect.moved;
    if (expect.read) json["read"] = *expect.read;
    if (expect.huge_kept) json["huge_kept"] = *expect.huge_kept;
    for (const auto& [metric, of, bound] : expect.bounds) {
        JsonObject& place = json[std::string(metric->name)];
        (of.empty() ? place : place[std::string(of)]) = bound.stated;
    }
    return json;
}

void fail(StepResult& result, const std::string& problem) {
    result.ok = false;
    result.problem += (result.problem.empty() ? "" : "; ") + problem;
}

int64_t returned_by(const abi::Report& report, StepResult& result) {
    if (report.outcome != abi::Outcome::ok)
        fail(result, "the agent did not get through it: " + describe(report.fault));
    return returned_by(report);
}

Went judge_access(const abi::Report& report, const Expect& expect, const Names& names, StepResult& result) {
    const auto& expected = expect.fault;
    if (report.outcome != abi::Outcome::fault) {
        if (!expected) return Went::on;
        fail(result, fmt::format("expected a {} fault, but nothing faulted", name_of(expected->kind)));
        return Went::wrong;
    }
    result.fault = report.fault;
    result.outcome = describe(report.fault);
    if (!expected) {
        fail(result, "unexpected " + describe(report.fault));
    } else if (expected->kind != report.fault.kind) {
        fail(result,
             fmt::format("expected a {} fault, got a {}", name_of(expected->kind), describe(report.fault)));
    } else if (expected->address && expected->address->in(names) != report.fault.address) {
        fail(result, fmt::format("expected a fault at {:#x}, got a {}", expected->address->in(names),
                                 describe(report.fault)));
    } else {
        result.outcome = fmt::format("{} fault at {}, as expected", name_of(report.fault.kind),
                                     format_address(report.fault.address));
    }
    return Went::wrong;
}

Went judge_errno(int64_t returned, std::optional<int64_t> expected, StepResult& result) {
    if (!is_error(returned)) {
        if (expected)
            fail(result, fmt::format("expected {}, but the call succeeded with {:#x}", errno_name(*expected),
                                     returned));
        return Went::on;
    }
    result.error = errno_name(-returned);
    result.outcome = fmt::format("{}, as expected", *result.error);
    if (expected != -returned)
        fail(result,
             fmt::format("expected {}, got {}", expected ? errno_name(*expected) : "success", *result.error));
    return Went::wrong;
}

void judge_address(const CallAction& action, uint64_t returned, const Expect& expect, const Names& names,
                   StepResult& result) {
    if (action.effect != Effect::defines && action.effect != Effect::relocates) {
        result.outcome = "ok";
        return;
    }
    const uint64_t now_at = place_of_result(action, returned, names);
    result.outcome = "at " + format_address(now_at);
    if (action.effect == Effect::relocates) {
        result.moved = now_at != action.source->at.in(names);
        if (*result.moved) result.outcome = "moved to " + format_address(now_at);
    }
    if (expect.at && expect.at->in(names) != now_at)
        fail(result, fmt::format("expected the result at {:#x}, got {:#x}", expect.at->in(names), now_at));
    if (expect.moved && *expect.moved != *result.moved)
        fail(result, fmt::format("expected the range {}, but it {}", *expect.moved ? "to move" : "to stay",
                                 *result.moved ? "moved" : "stayed"));
}

// ---- bounds ----

std::span<const StepMetric> metrics() {
    using Of = StepMetric::Of;
    using Step = const StepResult&;
    static constexpr auto count = [](uint64_t value) { return static_cast<double>(value); };
    static constexpr auto us = [](uint64_t ns) { return static_cast<double>(ns) / 1000; };
    static const StepMetric all[] = {
        {"call_us", Of::call, false, [](Step step) { return us(step.record->call_ns); }},
        {"guest_us", Of::guest_work, false, [](Step step) { return us(step.guest_ns); }},
        {"system_calls", Of::call, false, [](Step step) { return count(step.record->syscalls.total()); }},
        {"memslot_ioctls", Of::call, false,
         [](Step step) { return count(step.record->syscalls.memslot_ioctls); }},
        {"mmap", Of::call, false, [](Step step) { return count(step.record->syscalls.mmap); }},
        {"mremap", Of::call, false, [](Step step) { return count(step.record->syscalls.mremap); }},
        {"mprotect", Of::call, false, [](Step step) { return count(step.record->syscalls.mprotect); }},
        {"madvise", Of::call, false, [](Step step) { return count(step.record->syscalls.madvise); }},
        {"fallocate", Of::call, false, [](Step step) { return count(step.record->syscalls.fallocate); }},
        {"copies", Of::call, false, [](Step step) { return count(step.record->syscalls.copies); }},
        {"faults", Of::guest_work, false, [](Step step) { return count(step.kvm.faults); }},
        {"tlb_flushes", Of::guest_work, false, [](Step step) { return count(step.kvm.tlb_flushes); }},
        {"host_returned", Of::call_that_gives_back, true,
         [](Step step) { return count(*step.host_returned); }},
        {"pool_bytes", Of::call, true, [](Step step) { return count(step.record->pool.taken); }},
        {"pool_given", Of::call, true, [](Step step) { return count(step.record->pool.given); }},
        {"pre_faulted", Of::call, true, [](Step step) { return count(step.record->pre_faulted); }},
    };
    return all;
}

namespace {

bool holds(const Bound& bound, double value) {
    switch (bound.is) {
        case Bound::Is::less:
            return value < bound.than;
        case Bound::Is::at_most:
            return value <= bound.than;
        case Bound::Is::more:
            return value > bound.than;
        case Bound::Is::at_least:
            return value >= bound.than;
        case Bound::Is::equal:
            return value == bound.than;
        case Bound::Is::different:
            return value != bound.than;
    }
    return false;
}

std::string as_stated(const Bound& bound) {
    return bound.stated.is_string() ? bound.stated.get<std::string>() : bound.stated.dump();
}

// Whether the turn has it: a schedule that grows gives nothing back in that turn, and a query has no record.
bool has(const StepResult& result, const StepMetric& metric) {
    switch (metric.of) {
        case StepMetric::Of::call:
            return result.record.has_value();
        case StepMetric::Of::guest_work:
            return true;
        case StepMetric::Of::call_that_gives_back:
            return result.host_returned.has_value();
    }
    return false;
}

double median_and_so_on(const Spread<double>& spread, std::string_view of) {
    if (of == "median") return spread.median;
    if (of == "p99") return spread.p99;
    return of == "min" ? spread.min : spread.max;
}

}  // namespace

void judge_bounds(const Expect& expect, StepResult& result) {
    if (expect.huge_kept && result.record && *expect.huge_kept != result.record->huge_kept)
        fail(result, fmt::format("expected huge pages {}, but they {}",
                                 *expect.huge_kept ? "to be kept" : "to be split",
                                 result.record->huge_kept ? "were kept" : "were split"));
    for (const auto& [metric, of, bound] : expect.bounds) {
        if (!of.empty() || !has(result, *metric)) continue;
        const double value = metric->value(result);
        if (holds(bound, value)) continue;
        fail(result, fmt::format("{} is {}, expected {}", metric->name,
                                 metric->is_bytes ? format_size(static_cast<uint64_t>(value))
                                                  : fmt::format("{}", value),
                                 as_stated(bound)));
    }
}

void judge_all_turns(const Expect& expect, const std::vector<TurnTimes>& turns, StepResult& result) {
    if (turns.empty()) return;
    for (const auto& [metric, of, bound] : expect.bounds) {
        if (of.empty()) continue;
        std::vector<double> times;
        for (const TurnTimes& turn : turns)
            times.push_back(metric->name == "call_us" ? turn.call_us : turn.guest_us);
        const double value = median_and_so_on(spread_of(times), of);
        if (!holds(bound, value))
            fail(result, fmt::format("{} of {} turn{}: {} is {:.1f}, expected {}", metric->name, turns.size(),
                                     turns.size() == 1 ? "" : "s", of, value, as_stated(bound)));
    }
}

void judge_read(uint64_t word, const Expect& expect, StepResult& result) {
    result.result = word;
    result.outcome = fmt::format("read {:#x}", word);
    if (expect.read && *expect.read != word)
        fail(result, fmt::format("expected to read {:#x}, got {:#x}", *expect.read, word));
}

}  // namespace gpremap
