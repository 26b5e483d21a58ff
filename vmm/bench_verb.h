// `gpremap bench [NAME...]`: every figure beside what it replaces, measured in turn in the same process.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "vmm/progress.h"
#include "vmm/scenario.h"

namespace gpremap {

struct BenchOptions {
    std::vector<std::string> names;  // of benches; empty: all
    unsigned runs = 9;
    std::optional<uint64_t> max_size;  // bytes; without it, what fits this host, and no more than 4 GiB
    Overrides overrides;               // without backing and mechanism, or with automatic: each
    std::string json;                  // where the result goes, too; empty: nowhere
    uint64_t huge_pages = 0;           // of 2 MiB, that the host's pool has more for the time of the run
    ShowProgress progress = ShowProgress::yes;
};

// Writes the table to `out`, row by row. Returns the exit status, 0 or what JsonFile makes of it. Throws
// ConfigError for an unknown name, before anything runs, and HostLacks, GuestDied or std::system_error as a
// Machine does.
int run_bench(const BenchOptions& options, std::ostream& out);

}  // namespace gpremap
