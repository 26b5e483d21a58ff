#include "vmm/scenario/workload_checks.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <string>

#include "vmm/config/config_errors.h"
#include "vmm/scenario/track_assignment.h"

namespace gpremap {

namespace {

// What the steps do, in as far as workloads are concerned.
struct Steps {
    std::map<unsigned, const ScenarioStep*> on_vcpu;  // the first one that uses it
    std::set<std::string> ranges;

    void add(const std::vector<ScenarioStep>& steps) {
        for (const ScenarioStep& step : steps) {
            if (uses_vcpu(step)) on_vcpu.try_emplace(step.vcpu, &step);
            if (const auto* call = std::get_if<CallAction>(&step.action)) add(*call);
            if (const auto* batch = std::get_if<BatchAction>(&step.action))
                for (const CallAction& call : batch->calls) add(call);
            if (const auto* repeat = std::get_if<RepeatAction>(&step.action)) add(repeat->steps);
        }
    }

  private:
    void add(const CallAction& call) {
        if (call.effect == Effect::defines) ranges.insert(call.name);
    }
};

void check(const Workload& workload, const Scenario& scenario, const Steps& steps) {
    if (workload.vcpu >= scenario.machine.vcpus)
        workload.vcpu_place.fail(fmt::format("the VM has {} vCPU{}; set vm.vcpus to {} or more",
                                             scenario.machine.vcpus, scenario.machine.vcpus == 1 ? "" : "s",
                                             workload.vcpu + 1));
    if (auto step = steps.on_vcpu.find(workload.vcpu); step != steps.on_vcpu.end())
        workload.vcpu_place.fail(
            fmt::format("the step of line {} uses vCPU {}; a workload has one of its own",
                        step->second->place.line, workload.vcpu));
    if (!workload.range.empty() && !steps.ranges.contains(workload.range))
        workload.range_place.fail(fmt::format("no step makes a range '{}'", workload.range));
}

void check_apart(const std::vector<Workload>& workloads, ConfigErrors& errors) {
    std::map<std::string, const Workload*> names;
    std::map<unsigned, const Workload*> vcpus;
    for (const Workload& workload : workloads) {
        auto [same_name, is_new_name] = names.try_emplace(workload.name, &workload);
        auto [same_vcpu, is_new_vcpu] = vcpus.try_emplace(workload.vcpu, &workload);
        errors.collect([&, first = same_name->second, is_new = is_new_name] {
            if (!is_new)
                workload.place.fail(
                    fmt::format("the workload of line {} is '{}', too; give each a `name` of its own",
                                first->place.line, workload.name));
        });
        errors.collect([&, first = same_vcpu->second, is_new = is_new_vcpu] {
            if (!is_new)
                workload.vcpu_place.fail(fmt::format("workload '{}' has vCPU {}; each has one of its own",
                                                     first->name, workload.vcpu));
        });
    }
}

}  // namespace

void check_workloads(const Scenario& scenario) {
    Steps steps;
    steps.add(scenario.steps);
    ConfigErrors errors;
    check_apart(scenario.workloads, errors);
    for (const Workload& workload : scenario.workloads)
        errors.collect([&] { check(workload, scenario, steps); });
    errors.throw_if_any();
}

}  // namespace gpremap
