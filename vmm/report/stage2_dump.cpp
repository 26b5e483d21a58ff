#include "vmm/report/stage2_dump.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <ostream>
#include <utility>

#include "remap/stage2/arm_stage2.h"
#include "remap/stage2/ept.h"
#include "remap/stage2/table.h"
#include "vmm/base/errors.h"
#include "vmm/base/units.h"
#include "vmm/calls/words.h"
#include "vmm/config/toml_reader.h"
#include "vmm/report/table.h"
#include "vmm/scenario/reading.h"

namespace gpremap {
namespace {

using remap::Size;
using remap::stage2::Arm16k, remap::stage2::Arm64k, remap::stage2::ArmStage2, remap::stage2::Ept;
using remap::stage2::Leaves;
using remap::stage2::Obstacles;
using remap::stage2::Outlook;
using remap::stage2::page_levels;

std::vector<std::string> names_of(const Obstacles& obstacles) {
    const std::pair<const char*, bool> all[] = {{"congruence", obstacles.congruence},
                                                {"backing", obstacles.backing},
                                                {"slot edge", obstacles.slot_edge},
                                                {"size", obstacles.size}};
    std::vector<std::string> names;
    for (const auto& [name, is_there] : all)
        if (is_there) names.emplace_back(name);
    return names;
}

std::string list_of(const Obstacles& obstacles) {
    std::string list;
    for (const std::string& name : names_of(obstacles)) list += (list.empty() ? "" : ", ") + name;
    return list;
}

std::string size_name(unsigned level) {
    return format_size(remap::stage2::page_size(level).bytes);
}

using Sizes = std::span<const Size>;
using remap::stage2::usual_pages;

// "in the way of 2 MiB: size; of 1 GiB: backing, size"
std::string describe_obstacles(const Outlook& outlook, Sizes sizes) {
    std::string text;
    for (unsigned level = 1; level < sizes.size(); ++level)
        if (outlook.obstacles[level].any())
            text += fmt::format("{} of {}: {}", text.empty() ? "in the way" : ";",
                                format_size(sizes[level].bytes), list_of(outlook.obstacles[level]));
    return text;
}

std::string describe(const Leaves& leaves, Sizes sizes = usual_pages) {
    std::string text;
    for (unsigned level = 0; level < sizes.size(); ++level)
        text +=
            fmt::format("{}{} of {}", level ? ", " : "", leaves.of[level], format_size(sizes[level].bytes));
    return text;
}

// "pages_4k", "pages_512m"
std::string key_of(Size page) {
    const char* const units[] = {"", "k", "m", "g"};
    unsigned unit = 0;
    for (; page.bytes >= 1024; page.bytes /= 1024) ++unit;
    return fmt::format("pages_{}{}", page.bytes, units[unit]);
}

JsonObject json_of(const Leaves& leaves, Sizes sizes = usual_pages) {
    JsonObject json;
    for (unsigned level = 0; level < sizes.size(); ++level) json[key_of(sizes[level])] = leaves.of[level];
    return json;
}

template <class Format>
void add_table(Stage2Dump& dump, std::span<const remap::stage2::Piece> pieces) {
    remap::stage2::Table<Format> table(pieces);
    const auto sizes = remap::stage2::Geometry<Format>::pages();
    dump.format = Format::name;
    dump.sizes.assign(sizes.begin(), sizes.end());
    dump.leaves = table.leaves();
    dump.tables = table.tables();
    dump.contiguous = table.contiguous_leaves();
    for (const MapEntry& entry : dump.map) {
        auto found = table.walk(remap::Gpa{entry.at});
        dump.first_entries.push_back(found ? std::optional(found->entry) : std::nullopt);
        dump.outlook.push_back(remap::stage2::outlook_of(
            pieces, remap::Range::of(remap::Gpa{entry.at}, Size{entry.size}), dump.sizes));
    }
}

void print_header(std::ostream& out, Sizes sizes) {
    std::string names[page_levels];
    for (unsigned level = 0; level < sizes.size(); ++level) names[level] = format_size(sizes[level].bytes);
    fmt::print(out, "    {:<14} {:>10} {:<4} {:<10} {:>9} {:>7} {:>7}  {}\n", "at", "size", "prot", "backing",
               names[0], names[1], names[2], "first entry");
}

void print_extent(std::ostream& out, const Stage2Dump& dump, std::size_t index) {
    const MapEntry& entry = dump.map[index];
    const Outlook& outlook = dump.outlook[index];
    std::string pages[page_levels];
    for (unsigned level = 0; level < dump.sizes.size(); ++level)
        pages[level] = std::to_string(outlook.leaves.of[level]);
    const auto first = dump.first_entries[index];
    fmt::print(out, "    {:<14} {:>10} {:<4} {:<10} {:>9} {:>7} {:>7}  {}\n", format_address(entry.at),
               format_size(entry.size), prot_name(entry.prot), name_of(entry.backing), pages[0], pages[1],
               pages[2], first ? fmt::format("{:#018x}", *first) : "not mapped");
    std::string obstacles = describe_obstacles(outlook, dump.sizes);
    if (!obstacles.empty()) fmt::print(out, "        {}\n", obstacles);
}

void print_comparison(std::ostream& out, const tl::expected<Stage2Comparison, std::string>& comparison) {
    if (!comparison) {
        fmt::print(out, "    not compared with KVM: {}\n", comparison.error());
        return;
    }
    fmt::print(out, "    in memory now, the agent's own included: {}\n", describe(comparison->predicted));
    fmt::print(out, "    KVM, with all of that mapped:            {}{}\n", describe(comparison->reported),
               comparison->agree() ? ", the same" : ": NOT THE SAME");
}

}  // namespace

std::string page_size_name(uint64_t bytes) {
    std::string name = format_size(bytes);
    std::erase(name, ' ');
    return name;
}

std::string describe(const Outlook& outlook) {
    unsigned smallest = 0;
    while (smallest < outlook.largest && outlook.leaves.of[smallest] == 0) ++smallest;
    std::string text = size_name(outlook.largest);
    if (smallest < outlook.largest) text += " and " + size_name(smallest);
    bool is_worth_a_reason = (smallest == 0 || smallest < outlook.largest) && smallest + 1 < page_levels;
    if (is_worth_a_reason && outlook.obstacles[smallest + 1].any())
        text += fmt::format(" ({})", list_of(outlook.obstacles[smallest + 1]));
    return text;
}

JsonObject json_of(const Outlook& outlook) {
    JsonObject json = json_of(outlook.leaves);
    json["obstacles"] = JsonObject::object();
    for (unsigned level = 1; level < page_levels; ++level)
        json["obstacles"][page_size_name(remap::stage2::page_size(level).bytes)] =
            names_of(outlook.obstacles[level]);
    return json;
}

void check_granule(TableFormat format, uint64_t granule) {
    const Size page = format == TableFormat::arm_16k   ? remap::stage2::Geometry<Arm16k>::page(0)
                      : format == TableFormat::arm_64k ? remap::stage2::Geometry<Arm64k>::page(0)
                                                       : remap::kib4;
    if (granule % page.bytes != 0)
        throw ConfigError(
            fmt::format("--dump-stage2: pages of {} cannot map ranges of a granule of {}: expected "
                        "granule = \"2MiB\" in [vm]",
                        format_size(page.bytes), format_size(granule)));
}

Stage2Dump dump_stage2(Machine& machine, TableFormat format) {
    Stage2Dump dump;
    dump.map = machine.remapper().map();
    dump.comparison = compare_with_kvm(machine);
    const auto pieces = machine.remapper().possible_pieces();
    if (format == TableFormat::automatic)
        format = is_arm_stage2(machine) ? TableFormat::arm : TableFormat::ept;
    switch (format) {
        case TableFormat::automatic:
        case TableFormat::ept:
            add_table<Ept>(dump, pieces);
            break;
        case TableFormat::arm:
            add_table<ArmStage2>(dump, pieces);
            break;
        case TableFormat::arm_16k:
            add_table<Arm16k>(dump, pieces);
            break;
        case TableFormat::arm_64k:
            add_table<Arm64k>(dump, pieces);
            break;
    }
    return dump;
}

void print_stage2(std::ostream& out, const Stage2Dump& dump) {
    fmt::print(out,
               "\nstage 2 as {} entries, once all memory has been touched; it enforces r and w, and the\n"
               "agent's own tables x; addresses in entries are the host's virtual ones\n",
               dump.format);
    print_header(out, dump.sizes);
    for (size_t i = 0; i < dump.map.size(); ++i) print_extent(out, dump, i);
    fmt::print(out, "    together {}, in {} tables\n", describe(dump.leaves, dump.sizes), dump.tables);
    if (dump.contiguous > 0) fmt::print(out, "    with the contiguous hint: {}\n", dump.contiguous);
    print_comparison(out, dump.comparison);
}

JsonObject json_of(const Stage2Dump& dump) {
    JsonObject json = json_of(dump.leaves, dump.sizes);
    json["format"] = dump.format;
    json["contiguous"] = dump.contiguous;
    json["tables"] = dump.tables;
    json["first_entries"] = JsonObject::array();
    for (const auto& entry : dump.first_entries)
        json["first_entries"].push_back(entry ? JsonObject(*entry) : JsonObject(nullptr));
    if (dump.comparison)
        json["kvm"] = {{"predicted", json_of(dump.comparison->predicted)},
                       {"reported", json_of(dump.comparison->reported)},
                       {"agree", dump.comparison->agree()}};
    else
        json["kvm"] = {{"not_compared", dump.comparison.error()}};
    return json;
}

}  // namespace gpremap
