#include "vmm/scenario/missing.h"

#include "vmm/scenario/timeline.h"

namespace gpremap {

namespace {

// Which ranges an action names and which it defines. A call of a batch may name what an earlier one of it
// defines: that is not needed from outside.
struct Ranges {
    std::set<std::string> needed, defined;

    void need(const Operand& operand) {
        if (operand.kind != Operand::Kind::number && !defined.contains(operand.range))
            needed.insert(operand.range);
    }
    void need(const Span& span) {
        need(span.at);
        need(span.size);
    }

    void add(const CallAction& call) {
        for (const Argument& argument : call.args) need(argument.value);
        if (call.source) need(*call.source);
        if (call.effect == Effect::defines) defined.insert(call.name);
    }
    void add(const BatchAction& batch) {
        for (const CallAction& call : batch.calls) add(call);
    }
    void add(const ResizeAction& action) { need(action.range); }
    void add(const auto& action) {
        for (const Span& span : action.accesses()) need(span);
    }
};

Ranges ranges_of(const ScenarioStep& step) {
    Ranges ranges;
    if (step.expect.at) ranges.need(*step.expect.at);
    if (step.expect.fault && step.expect.fault->address) ranges.need(*step.expect.fault->address);
    visit_action(step, [&](const auto& action) { ranges.add(action); });
    return ranges;
}

}  // namespace

std::set<std::string> ranges_needed_by(const ScenarioStep& step) {
    return ranges_of(step).needed;
}

std::set<std::string> ranges_made_by(const ScenarioStep& step) {
    return ranges_of(step).defined;
}

std::optional<size_t> Missing::needed_by(const ScenarioStep& step) const {
    if (failed_.empty()) return std::nullopt;
    for (const std::string& name : ranges_of(step).needed)
        if (auto found = failed_.find(name); found != failed_.end()) return found->second;
    return std::nullopt;
}

void Missing::made(const ScenarioStep& step) {
    if (failed_.empty()) return;
    for (const std::string& name : ranges_of(step).defined) failed_.erase(name);
}

void Missing::not_made(const ScenarioStep& step, size_t failed) {
    for (const std::string& name : ranges_of(step).defined) failed_[name] = failed;
}

}  // namespace gpremap
