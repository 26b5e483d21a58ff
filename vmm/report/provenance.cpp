#include "vmm/report/provenance.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nettle/sha2.h>

#include <array>
#include <cstdint>
#include <ctime>

#include "vmm/report/json.h"

namespace gpremap {

namespace {

template <typename T>
JsonObject name_or_null(const std::optional<T>& value) {
    return value ? JsonObject(name_of(*value)) : JsonObject(nullptr);
}

JsonObject json_of(const HostConditions& conditions) {
    JsonObject json = {{"governor", or_null(conditions.governor)},
                       {"load", or_null(conditions.load)},
                       {"steal_ms", or_null(conditions.steal_ms)},
                       {"pressure", JsonObject::object()}};
    for (const auto& [resource, pressure] : conditions.pressure) {
        JsonObject& of_resource = json["pressure"][resource] = nullptr;
        if (pressure)
            of_resource = {
                {"avg10", pressure->avg10}, {"avg60", pressure->avg60}, {"total_us", pressure->total_us}};
    }
    return json;
}

}  // namespace

JsonObject json_of(const Provenance& provenance) {
    return {{"version", GPREMAP_VERSION},
            {"revision", provenance.revision},
            {"command", provenance.command},
            {"folder", provenance.folder},
            {"started", utc(provenance.started)},
            {"host_before", json_of(provenance.before)},
            {"host_after", json_of(provenance.after)}};
}

JsonObject json_of(const ScenarioSource& source) {
    const Overrides& overrides = source.overrides;
    return {{"file", source.file},
            {"sha256", sha256_of(source.text)},
            {"text", source.text},
            {"options",
             {{"backing", name_or_null(overrides.backing)},
              {"mechanism", name_or_null(overrides.mechanism)},
              {"granule", or_null(overrides.granule)},
              {"pool", or_null(overrides.pool)}}}};
}

std::string sha256_of(std::string_view text) {
    sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, text.size(), reinterpret_cast<const uint8_t*>(text.data()));
    std::array<uint8_t, SHA256_DIGEST_SIZE> digest;
    sha256_digest(&context, digest.size(), digest.data());
    return fmt::format("{:02x}", fmt::join(digest, ""));
}

std::string utc(std::chrono::system_clock::time_point time) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<time_t>(ms / 1000)), ms % 1000);
}

}  // namespace gpremap
