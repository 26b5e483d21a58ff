#include "vmm/compare/compare.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "vmm/base/errors.h"
#include "vmm/compare/comparison.h"
#include "vmm/compare/gpremap_guest.h"
#include "vmm/compare/guest_image.h"
#include "vmm/compare/libvirt_host.h"
#include "vmm/compare/needs.h"
#include "vmm/compare/qemu_guest.h"
#include "vmm/compare/resize_plan.h"
#include "vmm/libvirt/private_folder.h"

namespace gpremap {

namespace {

using Accelerate = CompareOptions::Accelerate;

struct Choice {
    Accelerator accelerator = Accelerator::kvm;
    std::string reason;
};

std::string first_line(const std::string& text) {
    return text.substr(0, text.find_first_of(";\n"));
}

QemuGuestConfig guest_config(const CompareOptions& options, Way way, Accelerator accelerator,
                             const GuestImage& image, const PrivateFolder& folder) {
    QemuGuestConfig config;
    config.way = way;
    config.type = accelerator == Accelerator::kvm ? QemuDomain::Type::kvm : QemuDomain::Type::qemu;
    config.settings.init_on_alloc = options.init_on_alloc.value_or(true);
    config.settings.memhp_default_state = options.memhp_default_state;
    config.image = image;
    config.folder = folder.path();
    return config;
}

// A host may have KVM that cannot boot an operating system, as where KVM is provided inside of a VM; so it is
// tried.
Choice choose_accelerator(const CompareOptions& options, virConnectPtr connection, QemuGuestConfig config,
                          const Schedule& schedule, Waiter& waiter) {
    const Accelerate wanted = options.accelerate.value_or(Accelerate::automatic);
    if (wanted == Accelerate::kvm) return {Accelerator::kvm, "as --accelerate says"};
    if (wanted == Accelerate::emulation) return {Accelerator::emulation, "as --accelerate says"};
    if (access("/dev/kvm", R_OK | W_OK) != 0)
        return {Accelerator::emulation, "there is no /dev/kvm for this user"};
    config.type = QemuDomain::Type::kvm;
    try {
        QemuGuest guest(connection, config, schedule, waiter);
        return {Accelerator::kvm, "it boots the guest"};
    } catch (const GuestDied& error) {
        return {Accelerator::emulation, "with KVM " + first_line(error.what())};
    } catch (const LibvirtError& error) {
        return {Accelerator::emulation, first_line(error.message())};
    }
}

CompareFacts facts_of(const CompareOptions& options, const Scenario& scenario, const Schedule& schedule,
                      const LibvirtHost& host, const QemuGuestConfig& guest, const Choice& choice) {
    CompareFacts facts;
    facts.scenario = scenario.file;
    facts.range = schedule.range;
    facts.host = read_host();
    facts.repeat = options.repeat;
    facts.accelerator = choice.accelerator;
    facts.accelerator_reason = choice.reason;
    facts.uri = options.connect.empty() ? "qemu:///embed" : options.connect;
    facts.libvirt_version = host.version();
    facts.qemu_version = host.qemu_version();
    facts.guest_release = guest.image.release;
    facts.guest_settings =
        fmt::format("init_on_alloc={} memhp_default_state={}", guest.settings.init_on_alloc ? 1 : 0,
                    guest.settings.memhp_default_state);
    facts.guest_base = QemuGuest::base_memory(schedule);
    facts.backing = name_of(scenario.machine.memory.backing);
    facts.mechanism = name_of(scenario.machine.memory.mechanism);
    return facts;
}

// A guest is booted for each repetition, so that all begin alike; and the ways take turns, so that what
// disturbs the host disturbs all of them.
void measure(const CompareOptions& options, const Scenario& scenario, const Schedule& schedule,
             const LibvirtHost& host, QemuGuestConfig config, Waiter& waiter, Comparison& comparison) {
    Progress progress(options.repeat * (1 + options.ways.size()), options.progress);
    for (unsigned turn = 0; turn < options.repeat; turn++) {
        progress.show("gpremap");
        for (const auto& [resizing, measured] : resize_on_gpremap(scenario.machine, schedule, waiter))
            comparison.add(Way::gpremap, resizing, measured);
        progress.advance();
        for (Way way : options.ways) {
            progress.show(std::string(name_of(way)));
            config.way = way;
            QemuGuest guest(host.connection(), config, schedule, waiter);
            for (const Resizing& resizing : schedule.resizings) {
                comparison.add(way, resizing, guest.resize(resizing));
                spdlog::info("{}: {} to {} bytes", name_of(way), resizing.from, resizing.to);
            }
            progress.advance();
        }
    }
}

void check(const CompareOptions& options) {
    if (options.repeat == 0) throw ConfigError("--repeat: expected 1 or more");
    if (!(options.deadline > 0)) throw ConfigError("--deadline: expected seconds, more than 0");
    if (options.ways.empty()) throw ConfigError("--with: expected balloon, virtio-mem or dimm");
}

// Before anything is started. The kernel is no lack: it is downloaded where it is not kept yet.
void require_needs(const CompareOptions& options) {
    std::string lacks;
    for (const CompareNeed& need : examine_compare(options.connect))
        if (!need.mend.empty() && need.what != kernel_need)
            lacks += fmt::format("{}compare: {}: {}: {}", lacks.empty() ? "" : "\n", need.what, need.reason,
                                 need.mend);
    if (!lacks.empty()) throw HostLacks(lacks);
}

// Everything that is started ends with it.
int compare(const CompareOptions& options, const Scenario& scenario, const Schedule& schedule, JsonFile& json,
            const Interruption& interruption, std::ostream& out) {
    // In this order, so that each outlives what needs it.
    const std::chrono::duration<double> deadline(options.deadline), longest_trial(30);
    Waiter waiter(interruption, deadline), waiter_for_trial(interruption, std::min(deadline, longest_trial));
    const PrivateFolder folder;
    const GuestImage image = make_guest_image(folder.path(), waiter);
    try {
        const LibvirtHost host(options.connect, folder.path(), waiter);
        QemuGuestConfig config = guest_config(options, options.ways.front(), Accelerator::kvm, image, folder);
        const Choice choice =
            choose_accelerator(options, host.connection(), config, schedule, waiter_for_trial);
        config = guest_config(options, options.ways.front(), choice.accelerator, image, folder);
        spdlog::info("{}: {}", choice.accelerator == Accelerator::kvm ? "KVM" : "emulation", choice.reason);
        Comparison comparison(facts_of(options, scenario, schedule, host, config, choice));
        measure(options, scenario, schedule, host, config, waiter, comparison);
        comparison.print(out);
        return json.write(comparison.json(), 0);
    } catch (const LibvirtError& error) {
        throw HostLacks(error.what());
    }
}

}  // namespace

int run_compare(const CompareOptions& options, std::ostream& out) {
    check(options);
    const Scenario scenario = read_scenario(options.file, options.overrides);
    const Schedule schedule = schedule_of(scenario, options.range, options.ways);
    JsonFile json(options.json);
    require_needs(options);
    const Interruption interruption;
    try {
        const int status = compare(options, scenario, schedule, json, interruption, out);
        interruption.check();
        return status;
    } catch (...) {
        interruption.check();  // whoever has asked for the end gets that, whatever else was in the way
        throw;
    }
}

}  // namespace gpremap
