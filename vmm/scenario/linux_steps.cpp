// What the steps of a Linux guest do.
#include <fmt/format.h>

#include <csignal>

#include "vmm/base/units.h"
#include "vmm/scenario/judging.h"
#include "vmm/scenario/track.h"

namespace gpremap {

namespace {

// As shells have it.
constexpr int64_t stopped_by(int signal) {
    return 128 + signal;
}

}  // namespace

template <>
void Track::act(const PlugAction& action, StepResult& result) {
    result.args = {{"name", action.name}, {"size", action.size}};
    result.bytes = action.size;
    if (const auto before = state_.plugged(action.name); before && before->size > 0)
        return fail(result, fmt::format("'{}' is plugged already", action.name));
    const int64_t returned =
        note_call(context_.target.perform(step_->vcpu, order::plug(action.size)), result);
    if (judge_errno(returned, step_->expect.error, result) == Went::wrong) return;
    state_.set_plugged(action.name, {static_cast<uint64_t>(returned), action.size});
    result.outcome = fmt::format("{} at {:#x}", format_size(action.size), returned);
}

template <>
void Track::act(const UnplugAction& action, StepResult& result) {
    const auto plugged = state_.plugged(action.name);
    result.args = {{"name", action.name}, {"within", action.within}};
    if (!plugged || plugged->size == 0)
        return fail(result, fmt::format("nothing is plugged as '{}'", action.name));
    const uint64_t size = action.size.value_or(plugged->size);
    result.args["size"] = size;
    result.bytes = size;
    if (size > plugged->size)
        return fail(result, fmt::format("'{}' has only {}", action.name, format_size(plugged->size)));
    const uint64_t held = context_.target.held_bytes();
    const int64_t returned =
        note_call(context_.target.perform(
                      step_->vcpu, order::unplug(plugged->at + plugged->size - size, size, action.within)),
                  result);
    if (judge_errno(returned, step_->expect.error, result) == Went::wrong) return;
    const auto unplugged = static_cast<uint64_t>(returned);
    if (unplugged > size)
        return fail(result, fmt::format("the agent says that {} of {} went", format_size(unplugged),
                                        format_size(size)));
    const uint64_t holds = context_.target.held_bytes();
    result.host_returned = held > holds ? held - holds : 0;
    state_.set_plugged(action.name, {plugged->at, plugged->size - unplugged});
    result.outcome = fmt::format("{} of {}", format_size(unplugged), format_size(size));
    if (unplugged < size && !action.partly)
        fail(result, fmt::format("only {} of {} could be unplugged within {} s", format_size(unplugged),
                                 format_size(size), action.within));
}

template <>
void Track::act(const CommandAction& action, StepResult& result) {
    result.args = {{"run", action.run}};
    if (action.background) result.args["background"] = true;
    Orders::Commanded commanded = orders_.command(step_->vcpu, action.run);
    const int64_t returned = note_call(commanded.performed, result);
    result.record.reset();  // of calls that the command may have made there is no telling
    if (judge_errno(returned, step_->expect.error, result) == Went::wrong) return;
    result.output = std::move(commanded.output);
    const bool was_stopped =
        action.background && (returned == stopped_by(SIGTERM) || returned == stopped_by(SIGKILL));
    result.outcome = was_stopped ? "stopped" : fmt::format("status {}", returned);
    if (action.status && *action.status != returned && !was_stopped)
        fail(result, fmt::format("expected the command to end with {}, it ended with {}: {}", *action.status,
                                 returned, *result.output));
}

}  // namespace gpremap
