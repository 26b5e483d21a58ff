// `gpremap run --dump-stage2`: what stage 2 maps the guest's memory with, and what stands in the way of
// larger pages; beside what KVM says that it has mapped, where it says so.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/machine/kvm_comparison.h"
#include "vmm/machine/machine.h"

namespace gpremap {

// automatic: that of this host. The two of larger granules are what such a host would have, with the same memory.
enum class TableFormat { automatic, ept, arm, arm_16k, arm_64k };
inline const std::map<std::string, TableFormat> table_formats = {{"auto", TableFormat::automatic},
                                                                 {"ept", TableFormat::ept},
                                                                 {"arm", TableFormat::arm},
                                                                 {"arm-16k", TableFormat::arm_16k},
                                                                 {"arm-64k", TableFormat::arm_64k}};

// Throws ConfigError where ranges of that granule, in bytes, cannot be mapped with the format's pages.
void check_granule(TableFormat format, uint64_t granule);

struct Stage2Dump {
    std::string format;  // its name
    std::vector<MapEntry> map;
    std::vector<remap::Size> sizes;               // of the format's pages, by level
    std::vector<remap::stage2::Outlook> outlook;  // of each of `map`, in these
    // For each of them the table's entry for its first byte; nothing where it allows no access.
    std::vector<std::optional<uint64_t>> first_entries;
    remap::stage2::Leaves leaves;  // of the whole table, once all memory has been touched
    uint64_t tables = 0;           // pages that the table itself takes
    uint64_t contiguous = 0;       // leaves with the hint that their neighbours go on with the same memory
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
