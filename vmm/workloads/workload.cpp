#include "vmm/workloads/workload.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>

#include "guest/abi/agent.h"
#include "vmm/base/units.h"
#include "vmm/calls/words.h"
#include "vmm/host/installation.h"

namespace gpremap {

namespace {

// What a key means something for.
void require_kind(const TomlValue& value, const Workload& workload,
                  std::initializer_list<gpremap_workload_kind> of) {
    std::string names;
    for (gpremap_workload_kind kind : of) {
        if (workload.does == kind) return;
        names += (names.empty() ? "\"" : " or \"") + std::string(name_of(kind)) + "\"";
    }
    value.fail(fmt::format("only do = {} has this; take it out", names));
}

// "200k/s", "1.5M/s": the part before is a number.
std::optional<double> parse_rate(std::string_view text) {
    if (!text.ends_with("/s")) return std::nullopt;
    text.remove_suffix(2);
    double factor = 1;
    for (const auto& [letter, value] : {std::pair('k', 1e3), std::pair('M', 1e6)})
        if (text.ends_with(letter)) factor = value;
    if (factor > 1) text.remove_suffix(1);
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number * factor;
}

double read_rate(const TomlValue& value) {
    const auto rate = value.is_text() ? parse_rate(value.text()) : std::optional(value.number());
    if (!rate || !(*rate > 0 && *rate <= 1e9))
        value.expected("operations a second, such as \"200k/s\", \"1.5M/s\" or 5000, up to 1e9");
    return *rate;
}

uint64_t read_sample(const TomlValue& value, const Workload& workload) {
    constexpr double shortest = 10e-6;
    const bool is_jitter = workload.does == GPREMAP_JITTER;
    const double longest = is_jitter ? static_cast<double>(longest_quantum_ns) / 1e9 : 10;
    const auto seconds = parse_seconds(value.text());
    if (!seconds || *seconds < shortest || *seconds > longest)
        value.expected(fmt::format("a time from \"10us\" to \"{}\"", is_jitter ? "100us" : "10s"));
    return static_cast<uint64_t>(std::llround(*seconds * 1e9));
}

std::vector<std::string> read_arguments(const TomlValue& value) {
    std::vector<std::string> arguments;
    for (const TomlValue& each : value.array())
        arguments.push_back(each.is_integer() ? each.as_written() : each.text());
    const size_t size = std::accumulate(arguments.begin(), arguments.end(), size_t{0},
                                        [](size_t sum, const auto& word) { return sum + word.size() + 1; });
    if (size > sizeof gpremap_workload::arguments)
        value.fail(fmt::format("expected at most {} bytes in all, with one between each two; got {}",
                               sizeof gpremap_workload::arguments, size));
    return arguments;
}

// Relative to the scenario's `folder`. A plain name that is not there may be one of the examples that come with this
// program.
std::filesystem::path find_program(const std::filesystem::path& folder, const std::string& text) {
    std::filesystem::path program = folder / text;
    const std::filesystem::path example = guests_folder() / "examples" / text;
    std::error_code ignored;
    const bool is_example = text.find('/') == std::string::npos &&
                            !std::filesystem::exists(program, ignored) &&
                            std::filesystem::exists(example, ignored);
    return is_example ? example : program;
}

void read_program(const TomlTable& table, Workload& workload) {
    if (workload.does == GPREMAP_PROGRAM) {
        const auto folder = std::filesystem::path(table.place().file).parent_path();
        workload.program = find_program(folder, table.at("program", "the path of a static ELF file").text());
    } else if (auto value = table.find("program")) {
        require_kind(*value, workload, {GPREMAP_PROGRAM});
    }
    if (auto value = table.find("arguments")) {
        require_kind(*value, workload, {GPREMAP_PROGRAM});
        workload.arguments = read_arguments(*value);
    }
}

void read_accesses(const TomlTable& table, Workload& workload) {
    if (auto value = table.find("access")) {
        require_kind(*value, workload, {GPREMAP_TOUCH});
        workload.access = value->one_of<gpremap_access>(access_names);
    }
    if (auto value = table.find("write")) {
        require_kind(*value, workload, {GPREMAP_TOUCH});
        workload.write = value->number();
        if (!(workload.write >= 0 && workload.write <= 1)) value->expected("a share from 0.0 to 1.0");
    }
    if (auto value = table.find("rate")) {
        require_kind(*value, workload, {GPREMAP_STREAM, GPREMAP_CHASE, GPREMAP_TOUCH, GPREMAP_VERIFY});
        workload.rate = read_rate(*value);
    }
    if (auto value = table.find("seed")) {
        require_kind(*value, workload, {GPREMAP_CHASE, GPREMAP_TOUCH, GPREMAP_VERIFY, GPREMAP_PROGRAM});
        workload.seed = value->integer_in(1, std::numeric_limits<int64_t>::max());
    }
}

// Without `do`, the name says it.
gpremap_workload_kind read_kind(const TomlTable& table) {
    auto name = table.find("name");
    if (!table.has("do") && name) return name->one_of<gpremap_workload_kind>(workload_kind_names);
    return table.at("do", "one of " + names_of<gpremap_workload_kind>(workload_kind_names))
        .one_of<gpremap_workload_kind>(workload_kind_names);
}

void read_range(const TomlTable& table, Workload& workload) {
    const bool needs_one = workload.does != GPREMAP_JITTER && workload.does != GPREMAP_PROGRAM;
    auto value = table.find("range");
    if (!value && needs_one) table.at("range", "the name of the range that it works on");
    if (!value) return;
    if (!needs_one)
        require_kind(*value, workload, {GPREMAP_STREAM, GPREMAP_CHASE, GPREMAP_TOUCH, GPREMAP_VERIFY});
    workload.range = read_name(*value);
    workload.range_place = value->place();
}

}  // namespace

std::string_view name_of(gpremap_workload_kind kind) {
    for (const auto& [name, value] : workload_kind_names)
        if (value == kind) return name;
    return "?";
}

Workload read_workload(const TomlTable& table) {
    table.only(
        {"name", "vcpu", "do", "range", "access", "write", "rate", "sample", "seed", "program", "arguments"});
    Workload workload;
    workload.place = table.place();
    workload.does = read_kind(table);
    const TomlValue vcpu = table.at("vcpu", "the number of a vCPU that no step uses");
    workload.vcpu = static_cast<unsigned>(vcpu.integer_in(0, abi::max_vcpus - 1));
    workload.vcpu_place = vcpu.place();
    auto name = table.find("name");
    workload.name = name ? read_name(*name) : std::string(name_of(workload.does));
    if (workload.does == GPREMAP_JITTER) workload.sample_ns = longest_quantum_ns;
    if (auto value = table.find("sample")) workload.sample_ns = read_sample(*value, workload);
    read_range(table, workload);
    read_accesses(table, workload);
    read_program(table, workload);
    return workload;
}

}  // namespace gpremap
