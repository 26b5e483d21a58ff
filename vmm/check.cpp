#include "vmm/check.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <ostream>

#include "vmm/cases.h"
#include "vmm/config_errors.h"
#include "vmm/scenario.h"
#include "vmm/toml_reader.h"

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

Checked check(const std::string& file) {
    std::string text = read_text(file);
    if (!is_xml(text) && TomlFile::parse(text, file).root().has("case"))
        return {counted(parse_cases(text, file).size(), "case"), {}};
    Scenario scenario = parse_scenario(text, file);
    std::string steps = counted(scenario.count_steps(), "step");
    if (!scenario.domain) return {steps, {}};
    return {described(*scenario.domain) + steps, scenario.domain->ignored};
}

void check(const std::string& file, std::ostream& out) {
    Checked checked = check(file);
    fmt::print(out, "{}: ok ({})\n", file, checked.what);
    for (const std::string& ignored : checked.ignored) fmt::print(out, "  {}\n", ignored);
}

}  // namespace

int run_check(const std::vector<std::string>& files, std::ostream& out) {
    ConfigErrors errors;
    for (const std::string& file : files) errors.collect([&] { check(file, out); });
    out.flush();
    errors.throw_if_any();
    return 0;
}

}  // namespace gpremap
