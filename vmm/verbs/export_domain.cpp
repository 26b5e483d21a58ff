// `gpremap export-domain SCENARIO.toml`: the QEMU guest that a scenario's VM corresponds to, as libvirt's
// XML.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iosfwd>
#include <iostream>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "vmm/base/errors.h"
#include "vmm/base/output_file.h"
#include "vmm/base/text_file.h"
#include "vmm/libvirt/qemu_domain.h"
#include "vmm/scenario/reading.h"
#include "vmm/scenario/timeline.h"
#include "vmm/verbs/options.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

namespace {

struct ExportOptions {
    std::string scenario;
    std::string file;  // where the XML goes; empty: to `out`
};

constexpr uint64_t large_page = 2ull << 20;  // bytes
// What a guest boots with, where the limit allows it; the rest can be plugged in.
constexpr uint64_t usual_boot_memory = 1ull << 30;  // bytes

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines(1);
    for (char c : text) {
        if (c == '\n')
            lines.emplace_back();
        else
            lines.back() += c;
    }
    return lines;
}

// A scenario inside of a domain does not say again what the domain says: those keys go, their lines stay.
std::string without_keys_of_the_domain(const std::string& text) {
    std::vector<std::string> lines = lines_of(text);
    const toml::table root = toml::parse(text);
    if (const toml::table* vm = root["vm"].as_table()) {
        for (const auto& [key, value] : *vm) {
            if (key != "vcpus" && key != "limit" && key != "backing") continue;
            auto begin = key.source().begin, end = value.source().end;
            if (begin.line != end.line) continue;
            std::string& line = lines.at(begin.line - 1);
            std::fill(line.begin() + (begin.column - 1), line.begin() + (end.column - 1), ' ');
        }
    }
    return fmt::format("{}", fmt::join(lines, "\n"));
}

std::string metadata_of(std::string toml) {
    // The one thing that cannot stand in CDATA is its end.
    for (size_t at = 0; (at = toml.find("]]>", at)) != std::string::npos; at += 15)
        toml.replace(at, 3, "]]]]><![CDATA[>");
    return fmt::format(
        "\n    <gpremap:scenario xmlns:gpremap='{}' memory='by-steps'><![CDATA[\n{}]]></gpremap:scenario>\n "
        " ",
        scenario_namespace, toml);
}

QemuDomain::MemoryBacking backing_of(Backing backing) {
    using Source = QemuDomain::MemoryBacking::Source;
    QemuDomain::MemoryBacking result;
    if (!traits_of(backing).begins_anonymous) result.source = Source::memfd;
    if (uint64_t size = huge_page_of(backing)) result.huge_page = size;
    if (backing == Backing::anon) result.stated = true;
    return result;
}

QemuDomain domain_of(const Scenario& scenario, const std::string& text) {
    const MemoryConfig& memory = scenario.machine.memory;
    QemuDomain domain;
    domain.name = std::filesystem::path(scenario.file).stem().string();
    domain.vcpus = scenario.machine.vcpus;
    domain.backing = backing_of(memory.backing);
    domain.balloon = QemuDomain::Balloon{};
    domain.boot_memory = memory.limit;
    if (memory.limit > usual_boot_memory + large_page) {
        uint64_t plugged = (memory.limit - usual_boot_memory) / large_page * large_page;
        domain.boot_memory = memory.limit - plugged;
        domain.max_memory = {memory.limit, 16};
        domain.virtio_mems = {{.size = plugged}};
    }
    domain.metadata = metadata_of(without_keys_of_the_domain(text));
    return domain;
}

bool same(const MachineConfig& a, const MachineConfig& b) {
    auto parts = [](const MachineConfig& machine) {
        const MemoryConfig& memory = machine.memory;
        return std::tuple(machine.vcpus, memory.granule, memory.aperture_base, memory.aperture_size,
                          memory.limit, memory.backing, memory.mechanism, memory.pool, memory.pre_fault);
    };
    return parts(a) == parts(b);
}

size_t count_steps(const Scenario& scenario) {
    return gpremap::count_steps(timeline_of(scenario.steps, scenario.machine.memory.granule));
}

void check_round_trip(const Scenario& scenario, const std::string& xml) {
    Scenario again;
    try {
        again = parse_scenario(xml, "the domain of " + scenario.file);
    } catch (const ConfigError& error) {
        throw ConfigError(
            fmt::format("{}: cannot be written as a domain; [vm] must be a table of its own, with a "
                        "line for each key:\n{}",
                        scenario.file, error.what()));
    }
    if (!same(scenario.machine, again.machine) || count_steps(scenario) != count_steps(again))
        throw ConfigError(scenario.file +
                          ": a domain would describe another VM than this; state the aperture in [vm]");
}

// The scenario goes along in the metadata, so that what is written describes the same VM: this is checked
// before anything is written, and so is that libvirt takes it. Returns the exit status, 0. Throws
// ConfigError; HostLacks in a build without libvirt.
int export_domain(const ExportOptions& options, std::ostream& out) {
    const std::string text = read_text(options.scenario);
    const Scenario scenario = parse_scenario(text, options.scenario);
    if (scenario.domain)
        throw ConfigError(options.scenario + ": its VM is a libvirt domain already, " +
                          scenario.domain->file);
    const std::string xml = to_xml(domain_of(scenario, text));
    check_round_trip(scenario, xml);
    if (options.file.empty()) {
        out << xml;
        return 0;
    }
    if (const auto problem = OutputFile("-o", options.file).write(xml)) throw ConfigError(*problem);
    return 0;
}

}  // namespace

void add_export_domain(Program& program) {
    CLI::App& verb =
        program.add_verb("export-domain", "write a scenario's VM as a QEMU guest: a libvirt domain");
    auto options = std::make_shared<ExportOptions>();
    verb.add_option("SCENARIO", options->scenario, "a TOML file; - is standard input")->required();
    verb.add_option("-o,--output", options->file, "where to; standard output without it, or -")
        ->type_name("FILE");
    verb.callback(
        [&program, options] { program.work = [options] { return export_domain(*options, std::cout); }; });
}

}  // namespace gpremap
