#include "vmm/report/stage2_dump.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <ostream>
#include <utility>

#include "remap/stage2/arm_stage2.h"
#include "remap/stage2/ept.h"
#include "remap/stage2/table.h"
#include "vmm/base/units.h"
#include "vmm/calls/words.h"
#include "vmm/config/toml_reader.h"
#include "vmm/report/table.h"
#include "vmm/scenario/reading.h"

namespace gpremap {
namespace {

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

// "in the way of 2 MiB: size; of 1 GiB: backing, size"
std::string describe_obstacles(const Outlook& outlook) {
    std::string text;
    for (unsigned level = 1; level < page_levels; ++level)
        if (outlook.obstacles[level].any())
            text += fmt::format("{} of {}: {}", text.empty() ? "in the way" : ";", size_name(level),
                                list_of(outlook.obstacles[level]));
    return text;
}

std::string describe(const Leaves& leaves) {
    return fmt::format("{} of 4 KiB, {} of 2 MiB, {} of 1 GiB", leaves.of[0], leaves.of[1], leaves.of[2]);
}

JsonObject json_of(const Leaves& leaves) {
    return {{"pages_4k", leaves.of[0]}, {"pages_2m", leaves.of[1]}, {"pages_1g", leaves.of[2]}};
}

template <class Format>
void add_table(Stage2Dump& dump, std::span<const remap::stage2::Piece> pieces) {
    remap::stage2::Table<Format> table(pieces);
    dump.leaves = table.leaves();
    dump.tables = table.tables();
    for (const MapEntry& entry : dump.map) {
        auto found = table.walk(remap::Gpa{entry.at});
        dump.first_entries.push_back(found ? std::optional(found->entry) : std::nullopt);
    }
}

const char* name_of(TableFormat format) {
    return format == TableFormat::ept ? remap::stage2::Ept::name : remap::stage2::ArmStage2::name;
}

void print_extent(std::ostream& out, const MapEntry& entry, std::optional<uint64_t> first) {
    const auto& pages = entry.outlook.leaves.of;
    fmt::print(out, "    {:<14} {:>10} {:<4} {:<10} {:>9} {:>7} {:>7}  {}\n", format_address(entry.at),
               format_size(entry.size), prot_name(entry.prot), name_of(entry.backing), pages[0], pages[1],
               pages[2], first ? fmt::format("{:#018x}", *first) : "not mapped");
    std::string obstacles = describe_obstacles(entry.outlook);
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

Stage2Dump dump_stage2(Machine& machine, TableFormat format) {
    Stage2Dump dump{format, machine.remapper().map(), {}, {}, 0, compare_with_kvm(machine)};
    const auto pieces = machine.remapper().possible_pieces();
    if (format == TableFormat::ept)
        add_table<remap::stage2::Ept>(dump, pieces);
    else
        add_table<remap::stage2::ArmStage2>(dump, pieces);
    return dump;
}

void print_stage2(std::ostream& out, const Stage2Dump& dump) {
    fmt::print(out,
               "\nstage 2 as {} entries, once all memory has been touched; it enforces r and w, and the\n"
               "agent's own tables x; addresses in entries are the host's virtual ones\n",
               name_of(dump.format));
    out << "    at                   size prot backing        4 KiB   2 MiB   1 GiB  first entry\n";
    for (size_t i = 0; i < dump.map.size(); ++i) print_extent(out, dump.map[i], dump.first_entries[i]);
    fmt::print(out, "    together {}, in {} tables\n", describe(dump.leaves), dump.tables);
    print_comparison(out, dump.comparison);
}

JsonObject json_of(const Stage2Dump& dump) {
    JsonObject json = json_of(dump.leaves);
    json["format"] = name_of(dump.format);
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
