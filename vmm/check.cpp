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

std::string check(const std::string& file) {
    if (TomlFile::read(file).root().has("case")) return counted(read_case_file(file).size(), "case");
    return counted(read_scenario(file).count_steps(), "step");
}

}  // namespace

int run_check(const std::vector<std::string>& files, std::ostream& out) {
    ConfigErrors errors;
    for (const std::string& file : files)
        errors.collect([&] { fmt::print(out, "{}: ok ({})\n", file, check(file)); });
    out.flush();
    errors.throw_if_any();
    return 0;
}

}  // namespace gpremap
