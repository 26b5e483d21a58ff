#include "vmm/scenario/dry_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "vmm/base/units.h"
#include "vmm/calls/effect.h"
#include "vmm/config/config_errors.h"
#include "vmm/scenario/timeline.h"

namespace gpremap {

namespace {

// Ranges whose place the VMM chooses get addresses from here on, so far from one another and from
// every aperture that no arithmetic of a scenario makes them meet.
constexpr uint64_t made_up_base = 1ull << 60;
constexpr uint64_t made_up_distance = 1ull << 48;

bool is_made_up(uint64_t address) {
    return address >= made_up_base;
}

class DryRun {
  public:
    explicit DryRun(const Scenario& scenario)
        : memory_(scenario.machine.memory), vcpus_(scenario.machine.vcpus), workloads_(scenario.workloads) {}

    // A second turn shows what it finds otherwise than the first, such as a name that is taken; no more are
    // followed, and of repeats inside of each other only one at a time is in its second.
    void follow(const std::vector<Order>& timeline) {
        for (const Order& order : timeline) note_changes(*order.step);
        for (const Order& order : timeline) {
            if (order.turn > 1 || wrong_.contains(order.step)) continue;
            bool is_right = false;
            errors_.collect([&] {
                follow(order);
                is_right = true;
            });
            if (!is_right) wrong_.insert(order.step);
        }
    }

    void throw_if_any() const { errors_.throw_if_any(); }

  private:
    enum class Wanted { success, failure };

    void follow(const Order& order);
    void follow(const CallAction& call, Wanted wanted);
    void follow(const BatchAction& batch, Wanted wanted);
    void follow(const ResizeAction& action, Wanted wanted);
    void follow(const WaitAction& action, Wanted wanted);
    void follow(const auto& action, Wanted wanted) {
        for (const Span& span : action.accesses()) check_source(span, wanted);
    }

    void note_changes(const ScenarioStep& step);
    bool others_change(const std::string& range) const;
    void check_source(const Span& span, Wanted wanted) const;
    void check_destination(const Operand& at, uint64_t size) const;
    void check_new_name(const CallAction& call, const TomlPlace& place) const;
    void check_scheduled(const TomlPlace& place, uint64_t size) const;
    void check_in_aperture(const TomlPlace& place, uint64_t at, uint64_t size) const;

    const MemoryConfig& memory_;
    unsigned vcpus_;
    const std::vector<Workload>& workloads_;
    Names names_;
    uint64_t made_up_ = made_up_base;
    ConfigErrors errors_;
    // By range, the tracks that move, resize or unmap it: when, is not known to the others.
    std::map<std::string, std::set<size_t>> changed_by_;
    std::set<const ScenarioStep*> wrong_;  // each says so once
    const Order* order_ = nullptr;
};

void DryRun::follow(const Order& order) {
    order_ = &order;
    const ScenarioStep& step = *order.step;
    if (step.vcpu >= vcpus_)
        step.vcpu_place.fail(
            fmt::format("there is no vCPU {}, for vm.vcpus is {} and they count from 0", step.vcpu, vcpus_));
    Wanted wanted = step.expect.success() ? Wanted::success : Wanted::failure;
    visit_action(step, [&](const auto& action) { follow(action, wanted); });
    if (step.expect.at) check_destination(*step.expect.at, 0);
    if (step.expect.fault && step.expect.fault->address) step.expect.fault->address->in(names_);
}

void DryRun::note_changes(const ScenarioStep& step) {
    auto note = [&](const std::string& range) { changed_by_[range].insert(step.track_number); };
    auto note_call = [&](const CallAction& call) {
        const bool keeps_its_source = call.effect == Effect::none || call.effect == Effect::defines;
        if (call.source && !keeps_its_source) note(call.source->at.range);
    };
    if (const auto* call = std::get_if<CallAction>(&step.action)) note_call(*call);
    if (const auto* batch = std::get_if<BatchAction>(&step.action))
        for (const CallAction& call : batch->calls) note_call(call);
    if (const auto* resize = std::get_if<ResizeAction>(&step.action)) note(resize->range.range);
}

bool DryRun::others_change(const std::string& range) const {
    const auto found = changed_by_.find(range);
    return found != changed_by_.end() &&
           (found->second.size() > 1 || !found->second.contains(order_->step->track_number));
}

void DryRun::check_in_aperture(const TomlPlace& place, uint64_t at, uint64_t size) const {
    uint64_t offset = at - memory_.aperture_base;
    if (at >= memory_.aperture_base && offset <= memory_.aperture_size &&
        size <= memory_.aperture_size - offset)
        return;
    place.fail(fmt::format("[{}, +{}) is outside of the aperture, which is [{}, +{})", format_size(at),
                           format_size(size), format_size(memory_.aperture_base),
                           format_size(memory_.aperture_size)));
}

void DryRun::check_source(const Span& span, Wanted wanted) const {
    uint64_t at = span.at.in(names_);
    uint64_t size = span.size.in(names_);
    if (wanted == Wanted::failure) return;
    if (span.at.kind != Operand::Kind::address_of) return check_in_aperture(span.at.place, at, size);

    if (others_change(span.at.range)) return;
    const NamedRange& range = *names_.find(span.at.range);
    if (range.state == NamedRange::State::unmapped)
        span.at.place.fail(fmt::format("nothing is mapped at '{}' any more", span.at.range));
    uint64_t offset = at - range.at;
    // It may go on into ranges that touch this one, as from one view of a ring into the next.
    if (offset > range.size || names_.mapped_from(at, size) < size)
        span.at.place.fail(fmt::format("'{}' has {} here; [{}, +{}) of it reaches beyond", span.at.range,
                                       format_size(range.size), format_size(offset), format_size(size)));
}

void DryRun::check_destination(const Operand& at, uint64_t size) const {
    uint64_t address = at.in(names_);
    if (at.kind == Operand::Kind::address_of) {
        const uint64_t named = names_.find(at.range)->at;
        if (is_made_up(named)) return;
        const bool is_negative = at.offset >> 63;  // "heap-4KiB"
        if (is_negative && address > named)
            at.place.fail(
                fmt::format("below address 0, for '{}' is at {} here", at.range, format_size(named)));
    }
    check_in_aperture(at.place, address, size);
}

void DryRun::check_new_name(const CallAction& call, const TomlPlace& place) const {
    if (call.effect != Effect::defines) return;
    const NamedRange* known = names_.find(call.name);
    if (known && known->state == NamedRange::State::mapped)
        place.fail(fmt::format("the name '{}' is taken by an earlier step; choose another", call.name));
}

void DryRun::follow(const CallAction& call, Wanted wanted) {
    for (const Argument& argument : call.args) argument.value.in(names_);
    if (call.source) check_source(*call.source, wanted);
    if (wanted == Wanted::failure) return;

    uint64_t new_size = call.new_size.in(names_);
    if (call.destination) check_destination(*call.destination, new_size);
    if (new_size > memory_.aperture_size)
        call.new_size.place.fail(fmt::format("{} is more than the aperture holds, {}", format_size(new_size),
                                             format_size(memory_.aperture_size)));
    check_new_name(call, order_->step->place);
    follow_call(call, predicted_result(call, names_, made_up_ += made_up_distance), names_, names_);
}

// The calls of a batch are written down before the first of them is made, so none can use an address
// that another of them is still to choose.
void DryRun::follow(const BatchAction& batch, Wanted wanted) {
    std::set<std::string> without_address;
    for (const CallAction& call : batch.calls) {
        for (const Argument& argument : call.args)
            if (argument.value.kind == Operand::Kind::address_of &&
                without_address.contains(argument.value.range))
                argument.value.place.fail(
                    fmt::format("where '{}' will be is not known in the same batch; state "
                                "its address with `at` or `to`",
                                argument.value.range));
        follow(call, wanted);
        if (chooses_address(call)) without_address.insert(moving_name(call));
    }
}

void DryRun::check_scheduled(const TomlPlace& place, uint64_t size) const {
    if (size % memory_.granule == 0 && size <= memory_.aperture_size) return;
    place.fail(fmt::format("a schedule goes from and to multiples of the granule ({}) within the aperture",
                           format_size(memory_.granule)));
}

void DryRun::follow(const ResizeAction& action, Wanted wanted) {
    check_source({action.range, {}}, Wanted::success);
    const uint64_t at = action.range.in(names_);
    const uint64_t size = names_.find(action.range.range)->size;
    if (action.trace.empty()) {
        check_scheduled(action.range.place, action.from);
        check_scheduled(action.range.place, action.to);
    } else if (order_->is_first) {
        for (const ResizeAction::Point& point : action.points)
            check_scheduled({action.trace, point.line, ""}, point.size);
    }
    // Only the last resize is sure to fail where an errno is expected.
    if (wanted == Wanted::success || !order_->is_last) names_.relocate(at, size, at, order_->size);
}

void DryRun::follow(const WaitAction& action, Wanted) {
    if (action.pool && *action.pool > memory_.pool)
        action.place.fail(
            fmt::format("the warm pool never has so much: vm.pool is {}", format_size(memory_.pool)));
    if (!action.workload.empty() &&
        std::ranges::find(workloads_, action.workload, &Workload::name) == workloads_.end())
        action.place.fail(fmt::format("there is no workload '{}'", action.workload));
}

}  // namespace

void check_steps(const Scenario& scenario) {
    DryRun run(scenario);
    run.follow(timeline_of(scenario.steps, scenario.machine.memory.granule));
    run.throw_if_any();
}

}  // namespace gpremap
