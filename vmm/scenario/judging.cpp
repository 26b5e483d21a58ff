#include "vmm/scenario/judging.h"

#include <fmt/format.h>

#include <string_view>

#include "vmm/base/errno_names.h"
#include "vmm/base/units.h"
#include "vmm/calls/effect.h"

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
    return json;
}

void fail(StepResult& result, const std::string& problem) {
    result.ok = false;
    result.problem += (result.problem.empty() ? "" : "; ") + problem;
}

bool is_error(int64_t returned) {
    constexpr int64_t highest_errno = 4095;
    return returned < 0 && returned >= -highest_errno;
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

void judge_read(uint64_t word, const Expect& expect, StepResult& result) {
    result.result = word;
    result.outcome = fmt::format("read {:#x}", word);
    if (expect.read && *expect.read != word)
        fail(result, fmt::format("expected to read {:#x}, got {:#x}", *expect.read, word));
}

}  // namespace gpremap
