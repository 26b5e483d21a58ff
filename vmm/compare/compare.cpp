#include "vmm/compare/compare.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "vmm/base/errors.h"
#include "vmm/compare/comparison.h"
#include "vmm/compare/gpremap_guest.h"
#include "vmm/compare/gpremap_linux_guest.h"
#include "vmm/compare/needs.h"
#include "vmm/compare/qemu_ways.h"
#include "vmm/compare/resize_plan.h"
#include "vmm/guests/linux/linux_image.h"
#include "vmm/kvm/kvm.h"
#include "vmm/machine/linux.h"

namespace gpremap {

namespace {

// What is resized, and with what.
struct Plan {
    const CompareOptions& options;
    Scenario scenario;
    Schedule schedule;
    std::optional<MachineConfig> linux_guest;  // where gpremap-linux is asked for

    bool asks_for_qemu() const { return std::ranges::any_of(options.ways, is_of_qemu); }
};

Plan plan_of(const CompareOptions& options) {
    Scenario scenario = read_scenario(options.file, options.overrides);
    Schedule schedule = schedule_of(scenario, options.range, options.ways);
    Plan plan{options, std::move(scenario), std::move(schedule), {}};
    if (std::ranges::count(options.ways, Way::gpremap_linux) > 0)
        plan.linux_guest = linux_machine(plan.scenario.machine, plan.schedule, options.settings());
    return plan;
}

CompareFacts facts_of(const Plan& plan, const QemuWays* qemu) {
    CompareFacts facts;
    facts.scenario = plan.scenario.file;
    facts.range = plan.schedule.range;
    facts.host = read_host();
    facts.repeat = plan.options.repeat;
    if (qemu) facts.qemu = qemu->facts();
    facts.guest_settings = kernel_parameters(plan.options.settings());
    facts.guest_base = ResizedLinux::base_memory(plan.schedule);
    facts.backing = name_of(plan.scenario.machine.memory.backing);
    facts.mechanism = name_of(plan.scenario.machine.memory.mechanism);
    return facts;
}

// A guest is booted for each repetition, so that all begin alike; and the ways take turns, so that what
// disturbs the host disturbs all of them.
class Measurement {
  public:
    Measurement(const Plan& plan, QemuWays* qemu, Waiter& waiter)
        : plan_(plan), qemu_(qemu), waiter_(waiter), comparison_(facts_of(plan, qemu)) {}

    const Comparison& run() {
        Progress progress(plan_.options.repeat * (1 + plan_.options.ways.size()), plan_.options.progress);
        for (unsigned turn = 0; turn < plan_.options.repeat; turn++) {
            progress.show("gpremap");
            for (const auto& [resizing, measured] :
                 resize_on_gpremap(plan_.scenario.machine, plan_.schedule, waiter_))
                comparison_.add(Way::gpremap, resizing, measured);
            progress.advance();
            for (Way way : plan_.options.ways) {
                progress.show(std::string(name_of(way)));
                measure(way);
                progress.advance();
            }
        }
        return comparison_;
    }

  private:
    std::unique_ptr<ResizedLinux> boot(Way way) {
        if (is_of_qemu(way)) return qemu_->boot(way);
        auto guest = std::make_unique<GpremapLinuxGuest>(*plan_.linux_guest, plan_.schedule, waiter_);
        comparison_.set_linux_release(guest->release());
        return guest;
    }

    void measure(Way way) {
        const std::unique_ptr<ResizedLinux> guest = boot(way);
        for (const Resizing& resizing : plan_.schedule.resizings) {
            comparison_.add(way, resizing, guest->resize(resizing));
            spdlog::info("{}: {} to {} bytes", name_of(way), resizing.from, resizing.to);
        }
    }

    const Plan& plan_;
    QemuWays* qemu_;  // where it is asked for
    Waiter& waiter_;
    Comparison comparison_;
};

void check(const CompareOptions& options) {
    if (options.repeat == 0) throw ConfigError("--repeat: expected 1 or more");
    if (!(options.deadline > 0)) throw ConfigError("--deadline: expected seconds, more than 0");
    if (options.ways.empty())
        throw ConfigError("--with: expected gpremap-linux, balloon, virtio-mem or dimm");
}

// Before anything is started. The kernel is no lack: it is downloaded where it is not kept yet.
void require_needs(const Plan& plan) {
    if (plan.linux_guest) require_linux(Kvm());
    const bool has_image = plan.linux_guest && !plan.linux_guest->linux_guest.kernel.empty();
    if (!plan.asks_for_qemu() && has_image) return;
    if (plan.asks_for_qemu() && !can_compare_with_qemu())
        throw HostLacks(
            "compare: this build has no libvirt: install libvirt-dev and libxml2-dev, and build again with "
            "meson "
            "setup --reconfigure -Dlibvirt=enabled");
    std::optional<std::string> uri;
    if (plan.asks_for_qemu()) uri = plan.options.connect;
    std::string lacks;
    for (const CompareNeed& need : examine_compare(uri))
        if (!need.mend.empty() && need.what != kernel_need)
            lacks += fmt::format("{}compare: {}: {}: {}", lacks.empty() ? "" : "\n", need.what, need.reason,
                                 need.mend);
    if (!lacks.empty()) throw HostLacks(lacks);
}

// Everything that is started ends with it.
int compare(Plan& plan, JsonFile& json, const Interruption& interruption, std::ostream& out) {
    // In this order, so that each outlives what needs it.
    Waiter waiter(interruption, std::chrono::duration<double>(plan.options.deadline));
    std::optional<LinuxImage> image;
    if (plan.linux_guest) image.emplace(*plan.linux_guest);
    std::unique_ptr<QemuWays> qemu;
    if (plan.asks_for_qemu()) qemu = open_qemu_ways(plan.options, plan.schedule, waiter);
    Measurement measurement(plan, qemu.get(), waiter);
    const Comparison& comparison = measurement.run();
    comparison.print(out);
    return json.write(comparison.json(), 0);
}

}  // namespace

int run_compare(const CompareOptions& options, std::ostream& out) {
    check(options);
    Plan plan = plan_of(options);
    JsonFile json(options.json);
    require_needs(plan);
    const Interruption interruption;
    try {
        const int status = compare(plan, json, interruption, out);
        interruption.check();
        return status;
    } catch (...) {
        interruption.check();  // whoever has asked for the end gets that, whatever else was in the way
        throw;
    }
}

}  // namespace gpremap
