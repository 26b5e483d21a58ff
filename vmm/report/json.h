// Results as JSON. docs/experiments.md lists the keys.
#pragma once

#include "vmm/base/json_file.h"
#include "vmm/host/facts.h"
#include "vmm/report/run_result.h"

namespace gpremap {

// Schema gpremap.run/1.
JsonObject json_of(const RunResult& run);

// What every result says of its host.
JsonObject json_of(const HostFacts& host);

}  // namespace gpremap
