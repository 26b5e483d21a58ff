// `gpremap run`: has a guest do the steps of a scenario, and says what came of them.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

#include "vmm/progress.h"
#include "vmm/scenario.h"
#include "vmm/stage2_dump.h"

namespace gpremap {

struct RunOptions {
    std::string file;
    Overrides overrides;
    std::string json;                        // where the result goes, too; empty: nowhere
    std::optional<TableFormat> dump_stage2;  // as entries of that format, after the steps
    uint64_t huge_pages = 0;  // of 2 MiB, that the host's pool has more for the time of the run
    ShowProgress progress = ShowProgress::yes;  // on standard error, where that is a terminal
};

// Checks the whole scenario, boots the VM, does the steps and writes the table of them to `out`. A step
// that fails does not stop those after it. Returns the exit status: 0 where every step was as expected,
// 1 otherwise. Throws ConfigError, before anything runs; HostLacks; GuestDied, when what ran until then
// has been written to `out` and to the JSON file.
int run_scenario(const RunOptions& options, std::ostream& out);

}  // namespace gpremap
