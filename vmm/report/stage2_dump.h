// `gpremap run --dump-stage2`: what stage 2 maps the guest's memory with, and what stands in the way of
// larger pages; beside what KVM says that it has mapped, where it says so.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/machine/kvm_comparison.h"
#include "vmm/machine/machine.h"

namespace gpremap {

enum class TableFormat { ept, arm };

struct Stage2Dump {
    TableFormat format = TableFormat::ept;
    std::vector<MapEntry> map;
    // For each of them the table's entry for its first byte; nothing where it allows no access.
    std::vector<std::optional<uint64_t>> first_entries;
    remap::stage2::Leaves leaves;  // of the whole table, once all memory has been touched
    uint64_t tables = 0;           // pages that the table itself takes
    tl::expected<Stage2Comparison, std::string> comparison;
};

// Has KVM map what is in memory already, in order to compare. No vCPU may have a step to do.
Stage2Dump dump_stage2(Machine& machine, TableFormat format);

void print_stage2(std::ostream& out, const Stage2Dump& dump);
JsonObject json_of(const Stage2Dump& dump);

// "2 MiB"; "2 MiB and 4 KiB (size)": the sizes of its pages and, where not all of them are as large as the
// largest, or none is larger than 4 KiB, why.
std::string describe(const remap::stage2::Outlook& outlook);
JsonObject json_of(const remap::stage2::Outlook& outlook);

// "2MiB", as JSON has it.
std::string page_size_name(uint64_t bytes);

}  // namespace gpremap
