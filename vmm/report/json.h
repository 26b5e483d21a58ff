// Results as JSON. docs/results.md lists the keys.
#pragma once

#include <optional>
#include <string_view>

#include "vmm/base/json_file.h"
#include "vmm/host/facts.h"
#include "vmm/host/placement.h"
#include "vmm/report/run_result.h"

namespace gpremap {

template <typename T>
JsonObject or_null(const std::optional<T>& value) {
    return value ? JsonObject(*value) : JsonObject(nullptr);
}

// The text of a result, of schema gpremap.run/1. `interrupted`: it says so.
enum class Ended { by_itself, interrupted };
std::string text_of(const RunResult& run, Ended ended);

// What is known of it before its first step.
JsonObject head_of(const RunResult& run, std::string_view schema);
JsonObject summary_of(const RunResult& run);

// One of its steps, of a VM with so many vCPUs.
JsonObject json_of(const StepResult& step, unsigned vcpus);
JsonObject json_of(const MapEntry& extent);

JsonObject json_of(const std::vector<MapEntry>& map);

// What every result says of its host, and of where it ran there.
JsonObject json_of(const HostFacts& host);
JsonObject json_of(const Pinning& pinning);

}  // namespace gpremap
