// A result as what is to be run: `gpremap run --from`.
#pragma once

#include <string>

#include "vmm/report/provenance.h"

namespace gpremap {

// What the result in the file `path` was a run of, with its options and parameters. Throws ConfigError where it cannot
// be read, has been cut or changed, is of another schema, or does not say where it comes from.
ScenarioSource read_rerun(const std::string& path);

}  // namespace gpremap
