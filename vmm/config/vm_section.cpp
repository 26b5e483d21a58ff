#include "vmm/config/vm_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/base/errors.h"
#include "vmm/base/units.h"

namespace gpremap {

namespace {

constexpr uint64_t large_page = 2ull << 20;  // bytes

uint64_t read_granule(const TomlValue& value) {
    uint64_t granule = value.size();
    if (std::ranges::find(granule_names, granule, &std::pair<std::string_view, uint64_t>::second) ==
        std::end(granule_names))
        value.expected("\"4KiB\", \"2MiB\" or \"1GiB\"");
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

// Numbers of processors, none of them twice.
std::vector<unsigned> read_processors(const TomlValue& value) {
    constexpr uint64_t highest = 8191;  // that a kernel can have
    std::vector<unsigned> processors;
    for (const TomlValue& element : value.array()) {
        const auto processor = static_cast<unsigned>(element.integer_in(0, highest));
        if (std::ranges::count(processors, processor) > 0)
            element.fail(fmt::format("processor {} is named twice", processor));
        processors.push_back(processor);
    }
    return processors;
}

void read_cpus(const TomlValue& value, unsigned vcpus, PlacementConfig& placement) {
    using Rule = PlacementConfig::Rule;
    placement.cpus_place = value.place().prefix();
    if (value.is_text()) {
        placement.rule = value.one_of<Rule>({{"spread", Rule::spread}, {"any", Rule::any}});
        return;
    }
    if (!value.is_array()) value.expected("\"spread\", \"any\" or a list of processors, one for each vCPU");
    placement.rule = Rule::stated;
    placement.cpus = read_processors(value);
    if (placement.cpus.size() != vcpus)
        value.fail(fmt::format("expected {} processor{}, one for each vCPU, got {}", vcpus,
                               vcpus == 1 ? "" : "s", placement.cpus.size()));
}

void read_host_cpus(const TomlValue& value, PlacementConfig& placement) {
    placement.host_cpus_place = value.place().prefix();
    placement.host_cpus = read_processors(value);
    if (placement.host_cpus.empty()) value.fail("expected at least one processor");
    if (placement.rule == PlacementConfig::Rule::any)
        value.fail("with cpus = \"any\" vCPUs run there, too; expected cpus to be \"spread\" or a list");
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

}  // namespace

MachineConfig read_vm(const TomlTable& vm, MachineConfig machine) {
    vm.only({"guest", "vcpus", "granule", "aperture", "limit", "backing", "mechanism", "pause", "snapshots",
             "pool", "pre_fault", "ring", "domain", "cpus", "host_cpus", "deadline"});
    MemoryConfig& memory = machine.memory;
    if (auto value = vm.find("guest")) machine.guest = value->one_of<GuestKind>(guest_names);
    if (auto value = vm.find("vcpus"))
        machine.vcpus = static_cast<unsigned>(value->integer_in(1, abi::max_vcpus));
    if (auto value = vm.find("cpus")) read_cpus(*value, machine.vcpus, machine.placement);
    if (auto value = vm.find("host_cpus")) read_host_cpus(*value, machine.placement);
    if (auto value = vm.find("granule")) memory.granule = read_granule(*value);
    if (auto value = vm.find("aperture")) read_aperture(*value, memory);
    memory.limit = vm.size_or("limit", memory.limit);
    if (auto value = vm.find("backing")) memory.backing = value->one_of<Backing>(backing_names);
    if (auto value = vm.find("mechanism")) memory.mechanism = value->one_of<Mechanism>(mechanism_names);
    if (auto value = vm.find("pause")) memory.pause = value->one_of<Pause>(pause_names);
    if (auto value = vm.find("snapshots"))
        memory.snapshots = value->one_of<SnapshotCopies>(snapshot_copies_names);
    memory.pool = vm.size_or("pool", memory.pool);
    memory.pre_fault = vm.boolean_or("pre_fault", memory.pre_fault);
    machine.ring = vm.boolean_or("ring", machine.ring);
    return machine;
}

void override_vm(const Overrides& overrides, MemoryConfig& memory) {
    memory.backing = overrides.backing.value_or(memory.backing);
    memory.mechanism = overrides.mechanism.value_or(memory.mechanism);
    memory.granule = overrides.granule.value_or(memory.granule);
    memory.pool = overrides.pool.value_or(memory.pool);
}

void check_vm(const TomlTable& root, const Overrides& overrides, const MemoryConfig& memory) {
    if (memory.limit == 0 || memory.limit % memory.granule != 0)
        blame(root, "limit", false,
              "limit must be a multiple of the granule, " + format_size(memory.granule) +
                  ", and not 0; got " + format_size(memory.limit));
    if (memory.aperture_base % memory.granule != 0 || memory.aperture_size % memory.granule != 0)
        blame(root, "aperture", false,
              "base and size of aperture must be multiples of the granule, " + format_size(memory.granule));
    const uint64_t unit = std::max(large_page, memory.granule);
    if (memory.pool % unit != 0 || memory.pool > memory.limit)
        blame(root, "pool", overrides.pool.has_value(),
              fmt::format("pool must be a multiple of {} and not above limit; got {}", format_size(unit),
                          format_size(memory.pool)));
    if (const BackingTraits& backing = traits_of(memory.backing); memory.granule < backing.least_granule) {
        const std::string_view least = name_of_granule(backing.least_granule);
        const std::string problem =
            fmt::format("backing \"{}\" cannot be mapped by {}; set granule = \"{}\" (or --granule {})",
                        backing.name, format_size(memory.granule), least, least);
        if (overrides.granule) blame(root, "granule", true, problem);
        blame(root, "backing", overrides.backing.has_value(), problem);
    }
}

}  // namespace gpremap
