// `gpremap cases FILE...`: runs case files and says which cases fail, with both pictures.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "vmm/progress.h"
#include "vmm/scenario.h"

namespace gpremap {

enum class CasesOn { vm, model, host };

struct CasesOptions {
    std::vector<std::string> files;
    CasesOn on = CasesOn::vm;
    std::string json;  // where the result goes, too; empty: nowhere
    // The granule is for the cases that state none; mechanism and backing are a VM's.
    Overrides overrides;
    uint64_t huge_pages = 0;  // of 2 MiB, that the host's pool has more for the time of the run
    ShowProgress progress = ShowProgress::yes;
};

// Reads all files, then runs all cases and writes what came of them to `out`. Returns the exit status: 0
// where none failed, 1 otherwise. Throws ConfigError, before anything runs, for what is wrong with any of
// the files, and HostLacks or GuestDied as a Machine does.
int run_cases(const CasesOptions& options, std::ostream& out);

}  // namespace gpremap
