#include "vmm/scenario/reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "vmm/base/text_file.h"
#include "vmm/config/combinations.h"
#include "vmm/config/config_errors.h"
#include "vmm/config/linux_section.h"
#include "vmm/config/parameters.h"
#include "vmm/config/vm_section.h"
#include "vmm/scenario/dry_run.h"
#include "vmm/scenario/resize_reading.h"
#include "vmm/scenario/step_reading.h"
#include "vmm/scenario/track_assignment.h"
#include "vmm/scenario/workload_checks.h"

namespace gpremap {

namespace {

// What the domain says is not said again.
void refuse_what_the_domain_says(const TomlTable& vm, const VmDomain& domain) {
    for (std::string_view key : {"vcpus", "limit", "backing"})
        if (auto value = vm.find(key))
            value->fail("comes from the domain, " + domain.file + "; take it out here");
}

void read_workloads(const TomlTable& root, Scenario& scenario, ConfigErrors& errors) {
    auto all = root.find("workload");
    if (!all) return;
    for (const TomlTable& workload : all->tables())
        errors.collect([&] { scenario.workloads.push_back(read_workload(workload)); });
}

// ---- a domain ----

ScenarioStep domain_step(const VmDomain& domain, const DomainRange& range, const std::string& step) {
    std::string text = std::string(range.line - 1, '\n') + "step = { " + step + " }";
    return read_step(TomlFile::parse(text, domain.file).root().at("step").table());
}

ScenarioStep mapping_of(const VmDomain& domain, const DomainRange& range, uint64_t size) {
    return domain_step(
        domain, range,
        fmt::format("map = {{ name = '{}', at = {}, size = {} }}", range.name, range.at, size));
}

// Steps that map the memory which the domain begins with. Written as a user would write them, each on the
// line of the element that it comes from.
void add_domain_steps(const VmDomain& domain, std::vector<ScenarioStep>& steps) {
    for (const DomainRange& range : domain.ranges) {
        auto add = [&](const std::string& step) { steps.push_back(domain_step(domain, range, step)); };
        steps.push_back(mapping_of(domain, range, range.size));
        if (range.residency == DomainRange::Residency::populated)
            add(fmt::format("touch = {{ range = '{}', write = true }}", range.name));
        if (range.residency == DomainRange::Residency::locked)
            add(fmt::format("lock = {{ range = '{}' }}", range.name));
    }
}

bool grows(const ScenarioStep& step, const std::string& name) {
    const auto* call = std::get_if<CallAction>(&step.action);
    return call && call->number == abi::Call::grow && call->source->at.range == name &&
           call->source->at.offset == 0;
}

// Of an empty range there is nothing that a call could grow: the first step that grows it maps it.
void map_what_grows_from_nothing(const VmDomain& domain, std::vector<ScenarioStep>& steps) {
    for (const DomainRange& range : domain.empty) {
        auto first = std::ranges::find_if(steps, [&](const auto& step) { return grows(step, range.name); });
        if (first == steps.end()) continue;
        const Operand& stated = std::get<CallAction>(first->action).new_size;
        const uint64_t size =
            stated.kind == Operand::Kind::size_of ? static_cast<uint64_t>(stated.more) : stated.offset;
        first->action = mapping_of(domain, range, size).action;
        if (range.residency != DomainRange::Residency::locked || !first->expect.success()) continue;
        steps.insert(first + 1,
                     domain_step(domain, range, fmt::format("lock = {{ range = '{}' }}", range.name)));
    }
}

std::string text_named_by(const TomlValue& value, const std::string& path) {
    try {
        return read_text(path);
    } catch (const ConfigError& error) {
        value.fail(error.what());
    }
}

std::optional<VmDomain> domain_named_in(const TomlTable& vm) {
    auto value = vm.find("domain");
    if (!value) return std::nullopt;
    // As other tools do: a path that is not absolute is beside the file that names it.
    std::string path = (std::filesystem::path(vm.place().file).parent_path() / value->text()).string();
    return parse_domain(text_named_by(*value, path), path);
}

// ---- the whole ----

void read_machine(const TomlTable& root, const Overrides& overrides, Scenario& scenario) {
    auto vm = root.find("vm");
    if (vm) {
        if (vm->table().has("domain") && scenario.domain)
            vm->table().find("domain")->fail("this scenario is in a domain already");
        if (!scenario.domain) scenario.domain = domain_named_in(vm->table());
        if (scenario.domain) {
            refuse_what_the_domain_says(vm->table(), *scenario.domain);
            scenario.machine = scenario.domain->machine;
        }
        scenario.machine = read_vm(vm->table(), scenario.machine);
        if (auto deadline = vm->table().find("deadline")) scenario.deadline = read_deadline(*deadline);
    }
    if (auto section = root.find("linux")) scenario.machine.linux_guest = read_linux(section->table());
    override_vm(overrides, scenario.machine.memory);
    override_guest(overrides, scenario.machine);
    check_guest(root, scenario.machine);
    check_vm(root, overrides, scenario.machine.memory);
    if (scenario.domain) add_domain_steps(*scenario.domain, scenario.steps);
}

void read_steps(const TomlTable& root, Scenario& scenario, ConfigErrors& errors) {
    if (!root.has("step") && scenario.domain) return;  // the domain's memory is mapped: that is something
    const TomlValue all = root.at("step", "at least one [[step]]");
    if (all.tables().empty()) all.fail("expected at least one [[step]]");
    for (const TomlTable& step : all.tables())
        errors.collect([&] { scenario.steps.push_back(read_step(step)); });
}

TomlFile toml_in(const VmDomain& domain, const std::string& name) {
    return TomlFile::parse(domain.scenario ? domain.scenario->text : "", name);
}

Scenario build_scenario(TomlFile file, const Overrides& overrides,
                        std::optional<VmDomain> domain = std::nullopt) {
    Scenario scenario;
    scenario.parameters = substitute_parameters(file, overrides.parameters);
    const TomlTable root = file.root();
    scenario.file = root.place().file;
    if (domain) scenario.machine = domain->machine;
    scenario.domain = std::move(domain);
    ConfigErrors errors;
    errors.collect([&] { root.only({"parameters", "sweep", "vm", "linux", "workload", "step"}); });
    errors.collect([&] { read_combinations(root, overrides.parameters); });
    errors.collect([&] { read_workloads(root, scenario, errors); });
    errors.collect([&] { read_machine(root, overrides, scenario); });
    errors.collect([&] { read_steps(root, scenario, errors); });
    errors.throw_if_any();
    if (scenario.domain) map_what_grows_from_nothing(*scenario.domain, scenario.steps);
    assign_tracks(scenario.steps);
    check_workloads(scenario);
    check_steps(scenario);
    return scenario;
}

}  // namespace

Scenario read_scenario(const std::string& path, const Overrides& overrides) {
    return parse_scenario(read_text(path), path, overrides);
}

Scenario parse_scenario(std::string_view text, const std::string& name, const Overrides& overrides) {
    if (!is_xml(text)) return build_scenario(TomlFile::parse(text, name), overrides);
    VmDomain domain = parse_domain(std::string(text), name);
    TomlFile file = toml_in(domain, name);
    return build_scenario(std::move(file), overrides, std::move(domain));
}

TomlFile scenario_toml(std::string_view text, const std::string& name) {
    return is_xml(text) ? toml_in(parse_domain(std::string(text), name), name) : TomlFile::parse(text, name);
}

}  // namespace gpremap
