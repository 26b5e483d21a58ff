// Whether what came of a step is what it expects. Each judge writes its verdict into the result.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/calls/names.h"
#include "vmm/scenario/result.h"
#include "vmm/scenario/scenario.h"

namespace gpremap {

// "read", "write", "execute".
std::string_view name_of(abi::FaultKind kind);

// What is stated in `expect`, under the names that files have for it. Throws ConfigError for a name that no step
// has defined.
JsonObject json_of(const Expect& expect, const Names& names);

// The result is not ok, and `problem` is one of its problems.
void fail(StepResult& result, const std::string& problem);

// As the agent says; the result is not ok where it did not get through the call.
int64_t returned_by(const abi::Report& report, StepResult& result);

// What `expect` may bound.
std::span<const StepMetric> metrics();

enum class Went { on, wrong };  // `wrong`: it was given up, and has been judged

// Of anything that touches memory: whether it faulted, and whether it was to.
Went judge_access(const abi::Report& report, const Expect& expect, const Names& names, StepResult& result);
// Of a call: whether it failed, and whether with the errno that was to come.
Went judge_errno(int64_t returned, std::optional<int64_t> expected, StepResult& result);
// Of a call that has succeeded; `names` are those from before it.
void judge_address(const CallAction& action, uint64_t returned, const Expect& expect, const Names& names,
                   StepResult& result);
// Of a load: the word that it found.
void judge_read(uint64_t word, const Expect& expect, StepResult& result);

// What the bounds of all turns are about, of one turn.
struct TurnTimes {
    double call_us = 0;
    double guest_us = 0;
};

// Of a step that has done what it was to: its counts and times.
void judge_bounds(const Expect& expect, StepResult& result);
// Of the last turn of a step: its bounds of all turns. `turns` are those that have done what they were to.
void judge_all_turns(const Expect& expect, const std::vector<TurnTimes>& turns, StepResult& result);

}  // namespace gpremap
