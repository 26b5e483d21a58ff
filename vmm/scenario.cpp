#include "vmm/scenario.h"

#include <fmt/format.h>

#include <filesystem>

#include "vmm/config_errors.h"
#include "vmm/scenario_check.h"
#include "vmm/scenario_steps.h"

namespace gpremap {

namespace {

constexpr uint64_t large_page = 2ull << 20;  // bytes

uint64_t read_granule(const TomlValue& value) {
    uint64_t granule = value.size();
    if (granule != 4096 && granule != large_page) value.expected("\"4KiB\" or \"2MiB\"");
    return granule;
}

void read_aperture(const TomlValue& value, MemoryConfig& memory) {
    TomlTable table = value.table();
    table.only({"base", "size"});
    memory.aperture_base = table.size_or("base", memory.aperture_base);
    memory.aperture_size = table.size_or("size", memory.aperture_size);
    uint64_t base = memory.aperture_base;
    uint64_t size = memory.aperture_size;
    if (base % large_page != 0 || size % large_page != 0 || size == 0)
        value.fail(
            "base and size must be multiples of 2 MiB (1 GiB keeps the largest pages), and size not 0");
    if (base < abi::lowest_aperture || base > abi::highest_aperture_end ||
        size > abi::highest_aperture_end - base)
        value.fail("expected a range between " + format_size(abi::lowest_aperture) + " and " +
                   format_size(abi::highest_aperture_end) + ", got [" + format_size(base) + ", +" +
                   format_size(size) + ")");
}

Backing read_backing(const TomlValue& value) {
    return value.one_of<Backing>({{"auto", Backing::automatic},
                                  {"anon", Backing::anon},
                                  {"memfd", Backing::memfd},
                                  {"hugetlb-2M", Backing::hugetlb_2m}});
}

Mechanism read_mechanism(const TomlValue& value) {
    return value.one_of<Mechanism>(
        {{"auto", Mechanism::automatic}, {"window", Mechanism::window}, {"memslot", Mechanism::memslot}});
}

// What the domain says is not said again.
void refuse_what_the_domain_says(const TomlTable& vm, const VmDomain& domain) {
    for (std::string_view key : {"vcpus", "limit", "backing"})
        if (auto value = vm.find(key))
            value->fail("comes from the domain, " + domain.file + "; take it out here");
}

// `machine` holds what stands for keys that are left out.
MachineConfig read_vm(const TomlTable& vm, MachineConfig machine) {
    vm.only({"vcpus", "granule", "aperture", "limit", "backing", "mechanism", "pool", "pre_fault", "domain"});
    MemoryConfig& memory = machine.memory;
    if (auto value = vm.find("vcpus"))
        machine.vcpus = static_cast<unsigned>(value->integer_in(1, abi::max_vcpus));
    if (auto value = vm.find("granule")) memory.granule = read_granule(*value);
    if (auto value = vm.find("aperture")) read_aperture(*value, memory);
    memory.limit = vm.size_or("limit", memory.limit);
    if (auto value = vm.find("backing")) memory.backing = read_backing(*value);
    if (auto value = vm.find("mechanism")) memory.mechanism = read_mechanism(*value);
    memory.pool = vm.size_or("pool", memory.pool);
    memory.pre_fault = vm.boolean_or("pre_fault", memory.pre_fault);
    return machine;
}

void override_vm(const Overrides& overrides, MemoryConfig& memory) {
    memory.backing = overrides.backing.value_or(memory.backing);
    memory.mechanism = overrides.mechanism.value_or(memory.mechanism);
    memory.granule = overrides.granule.value_or(memory.granule);
    memory.pool = overrides.pool.value_or(memory.pool);
}

// An option stands in place of the file's key, and has the blame in its place; what neither says comes from
// the domain.
[[noreturn]] void blame(const TomlTable& root, const std::string& key, bool by_option,
                        const std::string& problem) {
    if (by_option) throw ConfigError("--" + key + ": " + problem);
    const auto vm = root.find("vm");
    if (!vm) TomlPlace{root.place().file, 1, "vm"}.fail(problem);
    if (const auto value = vm->table().find(key)) value->fail(problem);
    vm->fail(problem);
}

// What only file and command line together decide.
void check_vm(const TomlTable& root, const Overrides& overrides, const MemoryConfig& memory) {
    if (memory.limit == 0 || memory.limit % memory.granule != 0)
        blame(root, "limit", false,
              "limit must be a multiple of the granule, " + format_size(memory.granule) +
                  ", and not 0; got " + format_size(memory.limit));
    if (memory.pool % large_page != 0 || memory.pool > memory.limit)
        blame(root, "pool", overrides.pool.has_value(),
              "pool must be a multiple of 2 MiB and not above limit; got " + format_size(memory.pool));
    if (memory.backing == Backing::hugetlb_2m && memory.granule != large_page) {
        const std::string problem =
            "backing \"hugetlb-2M\" cannot be mapped by 4 KiB; set granule = \"2MiB\" (or --granule 2MiB)";
        if (overrides.granule) blame(root, "granule", true, problem);
        blame(root, "backing", overrides.backing.has_value(), problem);
    }
}

void refuse_workloads(const TomlTable& root) {
    if (auto workload = root.find("workload"))
        workload->fail("[[workload]] comes later: not supported yet; take it out");
}

// ---- a domain ----

// Steps that map the memory which the domain begins with. Written as a user would write them, each on the
// line of the element that it comes from.
void add_domain_steps(const VmDomain& domain, std::vector<ScenarioStep>& steps) {
    for (const DomainRange& range : domain.ranges) {
        auto add = [&](const std::string& step) {
            std::string text = std::string(range.line - 1, '\n') + "step = { " + step + " }";
            steps.push_back(read_step(TomlFile::parse(text, domain.file).root().at("step").table()));
        };
        add(fmt::format("map = {{ name = '{}', at = {}, size = {} }}", range.name, range.at, range.size));
        if (range.residency == DomainRange::Residency::populated)
            add(fmt::format("touch = {{ range = '{}', write = true }}", range.name));
        if (range.residency == DomainRange::Residency::locked)
            add(fmt::format("lock = {{ range = '{}' }}", range.name));
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
    }
    override_vm(overrides, scenario.machine.memory);
    check_vm(root, overrides, scenario.machine.memory);
    if (scenario.domain) add_domain_steps(*scenario.domain, scenario.steps);
}

void read_steps(const TomlTable& root, Scenario& scenario, ConfigErrors& errors) {
    if (!root.has("step") && scenario.domain) return;  // the domain's memory is mapped: that is something
    for (const TomlTable& step : root.at("step", "at least one [[step]]").tables())
        errors.collect([&] { scenario.steps.push_back(read_step(step)); });
}

Scenario build_scenario(const TomlFile& file, const Overrides& overrides,
                        std::optional<VmDomain> domain = std::nullopt) {
    TomlTable root = file.root();
    Scenario scenario;
    scenario.file = root.place().file;
    if (domain) scenario.machine = domain->machine;
    scenario.domain = std::move(domain);
    ConfigErrors errors;
    errors.collect([&] { root.only({"vm", "workload", "step"}); });
    errors.collect([&] { refuse_workloads(root); });
    errors.collect([&] { read_machine(root, overrides, scenario); });
    errors.collect([&] { read_steps(root, scenario, errors); });
    errors.throw_if_any();
    check_steps(scenario);
    return scenario;
}

size_t count(const std::vector<ScenarioStep>& steps) {
    size_t all = 0;
    for (const ScenarioStep& step : steps) {
        const auto* repeat = std::get_if<RepeatAction>(&step.action);
        all += repeat ? count(repeat->steps) : 1;
    }
    return all;
}

}  // namespace

size_t Scenario::count_steps() const {
    return count(steps);
}

Scenario read_scenario(const std::string& path, const Overrides& overrides) {
    return parse_scenario(read_text(path), path, overrides);
}

Scenario parse_scenario(std::string_view text, const std::string& name, const Overrides& overrides) {
    if (!is_xml(text)) return build_scenario(TomlFile::parse(text, name), overrides);
    VmDomain domain = parse_domain(std::string(text), name);
    std::string steps = domain.scenario ? domain.scenario->text : "";
    return build_scenario(TomlFile::parse(steps, name), overrides, std::move(domain));
}

std::string_view name_of(Backing backing) {
    switch (backing) {
        case Backing::automatic:
            return "auto";
        case Backing::anon:
            return "anon";
        case Backing::memfd:
            return "memfd";
        case Backing::hugetlb_2m:
            return "hugetlb-2M";
    }
    return "";
}

std::string_view name_of(Mechanism mechanism) {
    switch (mechanism) {
        case Mechanism::automatic:
            return "auto";
        case Mechanism::window:
            return "window";
        case Mechanism::memslot:
            return "memslot";
    }
    return "";
}

std::string prot_name(uint64_t prot) {
    std::string name;
    if (prot & abi::prot_read) name += 'r';
    if (prot & abi::prot_write) name += 'w';
    if (prot & abi::prot_exec) name += 'x';
    return name.empty() ? "none" : name;
}

}  // namespace gpremap
