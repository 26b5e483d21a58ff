// `gpremap check FILE...`: parses and validates scenarios, case files and libvirt domains; runs nothing.
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <iosfwd>
#include <iostream>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "vmm/base/text_file.h"
#include "vmm/base/units.h"
#include "vmm/cases/reading.h"
#include "vmm/config/config_errors.h"
#include "vmm/config/toml_reader.h"
#include "vmm/host/facts.h"
#include "vmm/scenario/reading.h"
#include "vmm/scenario/timeline.h"
#include "vmm/verbs/options.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

namespace {

std::string counted(size_t count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

struct Checked {
    std::string what;
    std::vector<std::string> ignored;
};

// "guest: 2 vCPUs, begins with 768 MiB (node0 512 MiB, dimm0 256 MiB), may have 4 GiB"
std::string described(const VmDomain& domain) {
    std::vector<std::string> ranges;
    for (const DomainRange& range : domain.ranges)
        ranges.push_back(fmt::format("{} {}", range.name, format_size(range.size)));
    return fmt::format("domain {}: {}, begins with {}{}, may have {}, backing {}; ", domain.name,
                       counted(domain.machine.vcpus, "vCPU"), format_size(domain.mapped()),
                       ranges.empty() ? "" : fmt::format(" ({})", fmt::join(ranges, ", ")),
                       format_size(domain.machine.memory.limit), name_of(domain.machine.memory.backing));
}

Checked check(const std::string& file, const Overrides& overrides) {
    std::string text = read_text(file);
    if (!is_xml(text) && TomlFile::parse(text, file).root().has("case"))
        return {counted(parse_cases(text, file).size(), "case"), {}};
    Scenario scenario = parse_scenario(text, file, overrides);
    std::string steps =
        counted(count_steps(timeline_of(scenario.steps, scenario.machine.memory.granule)), "step");
    warn_of_large_limit(scenario.machine.memory);
    warn_of_large_aperture(scenario.machine.memory);
    if (!scenario.domain) return {steps, {}};
    return {described(*scenario.domain) + steps, scenario.domain->ignored};
}

void check(const std::string& file, const Overrides& overrides, std::ostream& out) {
    Checked checked = check(file, overrides);
    fmt::print(out, "{}: ok ({})\n", file, checked.what);
    for (const std::string& ignored : checked.ignored) fmt::print(out, "  {}\n", ignored);
}

// Writes "FILE: ok (N steps)" to `out` for each file that is right, and which elements of a domain are
// ignored. A file with [[case]] in it is a case file, any other a scenario. Throws ConfigError with
// everything that is wrong with the others.
int run_check(const std::vector<std::string>& files, const Overrides& overrides, std::ostream& out) {
    ConfigErrors errors;
    for (const std::string& file : files) errors.collect([&] { check(file, overrides, out); });
    out.flush();
    errors.throw_if_any();
    return 0;
}

}  // namespace

void add_check(Program& program) {
    CLI::App& verb = program.add_verb(
        "check", "parse and validate scenarios, case files and libvirt domains; run nothing");
    auto files = std::make_shared<std::vector<std::string>>();
    auto overrides = std::make_shared<Overrides>();
    verb.add_option("FILE", *files, "scenarios, case files and domains; - is standard input")->required();
    add_parameters(verb, *overrides);
    verb.callback([&program, files, overrides] {
        program.work = [files, overrides] { return run_check(*files, *overrides, std::cout); };
    });
}

}  // namespace gpremap
