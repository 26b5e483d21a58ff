#include "vmm/compare/comparison.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <ostream>

#include "vmm/base/spread.h"
#include "vmm/base/units.h"
#include "vmm/config/toml_reader.h"
#include "vmm/report/json.h"

namespace gpremap {

namespace {

constexpr double gib = 1ull << 30, ns_per_ms = 1e6, ns_per_s = 1e9;

using Samples = std::vector<double>;

// What `figure` says of each repetition; those where it says nothing are left out.
template <typename Figure>
Samples samples_of(const std::vector<Measured>& measured, Figure figure) {
    Samples samples;
    for (const Measured& one : measured)
        if (std::optional<double> value = figure(one)) samples.push_back(*value);
    return samples;
}

using Value = std::optional<double>;

Value command(const Measured& one) {
    return static_cast<double>(one.command);
}
Value event(const Measured& one) {
    return one.event ? Value(static_cast<double>(*one.event)) : std::nullopt;
}
Value guest(const Measured& one) {
    return static_cast<double>(one.guest);
}
Value install(const Measured& one) {
    return one.install ? Value(static_cast<double>(*one.install)) : std::nullopt;
}
Value lost(const Measured& one) {
    return static_cast<double>(one.lost);
}
Value pause(const Measured& one) {
    return static_cast<double>(one.pause);
}
// Bytes that the host has less of.
Value taken(const Measured& one) {
    return static_cast<double>(one.host_after) - static_cast<double>(one.host_before);
}

// GiB/s: of memory that came, by its first touch; of memory that went, by what the host has back.
Value throughput(const Resizing& resizing, const Measured& one) {
    if (resizing.grows())
        return static_cast<double>(resizing.bytes()) / gib * ns_per_s / std::max(1.0, *install(one));
    return -*taken(one) / gib * ns_per_s / std::max(1.0, *guest(one));
}

// Three digits that count.
std::string number(double value) {
    return value == 0 || std::abs(value) >= 100 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
}

std::string change(const Resizing& resizing) {
    return (resizing.grows() ? "+" : "-") + format_size(resizing.bytes());
}

// QEMU's own name for the processor that it emulates, as where KVM is tried in an emulated machine.
bool is_processor_emulated(const HostFacts& host) {
    return host.cpu.starts_with("QEMU TCG CPU");
}

// "-512 MiB": to the MiB, for page tables and what else QEMU needs go with it.
std::string mib_text(double bytes) {
    return fmt::format("{:+.0f} MiB", bytes / (1 << 20));
}

JsonObject json_of_samples(const Samples& samples, bool emulated) {
    if (samples.empty()) return nullptr;
    const Spread<double> spread = spread_of(samples);
    return {{"median", spread.median},
            {"min", spread.min},
            {"max", spread.max},
            {"samples", samples},
            {"emulated", emulated}};
}

constexpr const char* columns = "{:<13} {:<9} {:>9} {:>8} {:>23} {:>9} {:>7} {:>8} {:>8} {:>7}\n";

}  // namespace

void Comparison::add(Way way, const Resizing& resizing, const Measured& measured) {
    auto row = std::find_if(rows_.begin(), rows_.end(),
                            [&](const Row& known) { return known.way == way && known.resizing == resizing; });
    if (row == rows_.end()) row = rows_.insert(rows_.end(), Row{way, resizing, {}});
    row->measured.push_back(measured);
}

// Where the host itself is emulated, all of it is.
bool Comparison::is_emulated(Way way) const {
    if (is_processor_emulated(facts_.host)) return true;
    return is_of_qemu(way) && facts_.qemu && facts_.qemu->accelerator == Accelerator::emulation;
}

const Comparison::Row* Comparison::ours(const Resizing& resizing) const {
    for (const Row& row : rows_)
        if (row.way == Way::gpremap && row.resizing == resizing) return &row;
    return nullptr;
}

std::optional<double> Comparison::ratio(const Row& row) const {
    const Row* mine = ours(row.resizing);
    if (!mine || is_emulated(row.way)) return std::nullopt;
    return spread_of(samples_of(row.measured, guest)).median /
           std::max(1.0, spread_of(samples_of(mine->measured, guest)).median);
}

// ---- the table ----

void Comparison::print_row(std::ostream& out, const Row& row) const {
    const std::string mark = is_emulated(row.way) ? "~" : "";
    auto ms = [&](auto figure) {
        const Samples samples = samples_of(row.measured, figure);
        return samples.empty() ? "-" : mark + number(spread_of(samples).median / ns_per_ms);
    };
    const Spread<double> waited = spread_of(samples_of(row.measured, guest));
    const Samples speeds =
        samples_of(row.measured, [&](const Measured& one) { return throughput(row.resizing, one); });
    const auto factor = ratio(row);
    fmt::print(out, columns, name_of(row.way), change(row.resizing), ms(command), ms(event),
               fmt::format("{} ({} ... {})", ms(guest), number(waited.min / ns_per_ms),
                           number(waited.max / ns_per_ms)),
               mib_text(spread_of(samples_of(row.measured, taken)).median),
               mark + number(spread_of(speeds).median), ms(lost), ms(pause), factor ? number(*factor) : "-");
}

void Comparison::print_head(std::ostream& out) const {
    fmt::print(out,
               "{}: range '{}', {} repetitions; medians, and of the guest's time the least and the most\n",
               facts_.scenario, facts_.range, facts_.repeat);
    auto guest = [&](const std::string& name, const std::string& release) {
        fmt::print(out, "{}: Linux {}, {} and what is resized\n{}\n", name, release,
                   format_size(facts_.guest_base), facts_.guest_settings);
    };
    if (facts_.qemu) {
        const QemuFacts& qemu = *facts_.qemu;
        fmt::print(out, "QEMU {} through libvirt {} ({})\n{}: {}\n", qemu.version, qemu.libvirt_version,
                   qemu.uri, qemu.accelerator == Accelerator::kvm ? "KVM" : "emulation",
                   qemu.accelerator_reason);
        guest("its guest", qemu.guest_release);
    }
    if (facts_.linux_release) guest("gpremap-linux", *facts_.linux_release);
    fmt::print(out, "gpremap: backing {}, mechanism {}, MMU kind {}\n\n", facts_.backing, facts_.mechanism,
               facts_.host.mmu);
}

void Comparison::print(std::ostream& out) const {
    print_head(out);
    fmt::print(out, columns, "way", "resize", "call ms", "event ms", "guest ms", "host", "GiB/s", "lost ms",
               "pause ms", "ratio");
    fmt::print(out, columns, "-------------", "---------", "---------", "--------", "-----------------------",
               "---------", "-------", "--------", "--------", "-------");
    std::vector<Row> sorted = rows_;
    std::stable_sort(sorted.begin(), sorted.end(), [](const Row& a, const Row& b) {
        return std::pair(a.resizing, a.way) < std::pair(b.resizing, b.way);
    });
    for (size_t i = 0; i < sorted.size(); i++) {
        if (i > 0 && sorted[i].resizing != sorted[i - 1].resizing) fmt::print(out, "\n");
        print_row(out, sorted[i]);
    }
    fmt::print(out,
               "\ncall, event, guest: until the call returned, libvirt told of it, the guest could use the "
               "memory or had\n"
               "given it up. host: memory that the host gave or has back. GiB/s: first touch of what came; "
               "of what went,\n"
               "what the host has back. lost, pause: of a writer on another vCPU. ratio: guest ms over "
               "gpremap's.\n");
    if (is_processor_emulated(facts_.host))
        fmt::print(out, "~ distorted: this host's instructions are emulated. There are no ratios.\n");
    else if (facts_.qemu && is_emulated(Way::balloon))
        fmt::print(out, "~ distorted: the guest's instructions were emulated. Left out of ratios.\n");
}

// ---- JSON ----

JsonObject Comparison::json_of(const Row& row) const {
    const bool emulated = is_emulated(row.way);
    auto figures = [&](auto figure) { return json_of_samples(samples_of(row.measured, figure), emulated); };
    auto speed = [&](const Measured& one) { return throughput(row.resizing, one); };
    JsonObject json;
    json["way"] = name_of(row.way);
    json["change"] = row.resizing.grows() ? "grow" : "shrink";
    json["from"] = row.resizing.from;
    json["to"] = row.resizing.to;
    json["repetitions"] = row.measured.size();
    json["call_ns"] = figures(command);
    json["event_ns"] = figures(event);
    json["guest_ns"] = figures(guest);
    json["host_bytes"] = json_of_samples(samples_of(row.measured, taken), false);
    json["install_ns"] = figures(install);
    json[row.resizing.grows() ? "install_gib_s" : "return_gib_s"] = figures(speed);
    json["workload_lost_ns"] = figures(lost);
    json["workload_pause_ns"] = figures(pause);
    const auto factor = ratio(row);
    json["ratio"] = factor ? JsonObject(*factor) : JsonObject(nullptr);
    return json;
}

JsonObject Comparison::json_of_guest(const std::string& release) const {
    return {{"guest", release}, {"guest_settings", facts_.guest_settings}, {"base_bytes", facts_.guest_base}};
}

JsonObject Comparison::json_of_qemu() const {
    if (!facts_.qemu) return nullptr;
    const QemuFacts& qemu = *facts_.qemu;
    JsonObject json = {{"version", qemu.version},
                       {"libvirt", qemu.libvirt_version},
                       {"uri", qemu.uri},
                       {"accelerator", qemu.accelerator == Accelerator::kvm ? "kvm" : "emulation"},
                       {"reason", qemu.accelerator_reason}};
    json.update(json_of_guest(qemu.guest_release));
    return json;
}

JsonObject Comparison::json() const {
    JsonObject json;
    json["schema"] = "gpremap.compare/1";
    json["tool"] = {{"version", GPREMAP_VERSION}};
    json["host"] = gpremap::json_of(facts_.host);
    json["scenario"] = facts_.scenario;
    json["range"] = facts_.range;
    json["repeat"] = facts_.repeat;
    json["vm"] = {{"backing", facts_.backing}, {"mechanism", facts_.mechanism}};
    json["qemu"] = json_of_qemu();
    json["gpremap_linux"] = facts_.linux_release ? json_of_guest(*facts_.linux_release) : JsonObject(nullptr);
    json["rows"] = JsonObject::array();
    for (const Row& row : rows_) json["rows"].push_back(json_of(row));
    return json;
}

}  // namespace gpremap
