#include "vmm/compare/qemu_guest.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <string_view>

#include "vmm/base/errors.h"
#include "vmm/libvirt/xml_writer.h"

namespace gpremap {

namespace {

constexpr uint64_t mib = 1ull << 20;
constexpr uint64_t large_page = 2 * mib;  // virtio-mem's block
constexpr const char* virtio_mem_alias = "ua-virtio-mem";

// Unique among the runs and guests of this machine, as long as they live.
std::string domain_name(Way way) {
    static std::atomic<unsigned> count = 0;
    return fmt::format("gpremap-{}-{}-{}", name_of(way), getpid(), count++);
}

std::string dimm_xml(const std::string& alias, uint64_t size) {
    XmlWriter xml;
    xml.element("memory", {{"model", "dimm"}}, [&] {
        xml.element("target", {}, [&] {
            xml.element("size", {{"unit", "KiB"}}, std::to_string(size >> 10));
            xml.element("node", {}, "0");
        });
        xml.element("alias", {{"name", alias}});
    });
    return xml.text();
}

}  // namespace

// ---- the domain ----

// Memory that a balloon leaves or a device has, beyond what the guest booted with.
QemuDomain QemuGuest::describe() const {
    const uint64_t least = schedule().least(), most = schedule().most(), base = base_memory(schedule());
    const bool has_balloon = config_.way == Way::balloon;
    QemuDomain domain;
    domain.name = domain_name(config_.way);
    domain.type = config_.type;
    domain.cpu_mode = config_.type == QemuDomain::Type::kvm ? "host-passthrough" : "maximum";
    domain.vcpus = 2;  // the second is the workload's
    domain.kernel = config_.image.kernel;
    domain.initrd = config_.image.initrd;
    domain.cmdline = "console=ttyS0 quiet panic=-1 maxcpus=1 " + kernel_parameters(config_.settings);
    domain.boot_memory = base + (has_balloon ? most : least);
    if (has_balloon) domain.current_memory = base + schedule().initial;
    domain.balloon = QemuDomain::Balloon{};
    if (!has_balloon)
        domain.max_memory = QemuDomain::MaxMemory{domain.boot_memory + 2 * (most - least) + 1024 * mib, 16};
    if (config_.way == Way::virtio_mem) domain.virtio_mems = {virtio_mem(schedule().initial)};
    if (config_.way == Way::dimm && schedule().initial > least)
        domain.dimms = {{schedule().initial - least, 0}};
    using Channel = QemuDomain::Channel;
    domain.channels = {{Channel::Kind::isa_serial, console_.path(), "", Channel::Listener::peer},
                       {Channel::Kind::virtio_serial, channel_.path(), "gpremap", Channel::Listener::peer}};
    return domain;
}

QemuGuest::QemuGuest(virConnectPtr connection, const QemuGuestConfig& config, const Schedule& schedule,
                     Waiter& waiter)
    : ResizedLinux(config.way, schedule, waiter),
      connection_(connection),
      config_(config),
      console_(config.folder / "console", waiter),
      channel_(config.folder / "channel", waiter) {
    if (config.way == Way::dimm && schedule.initial > schedule.least()) dimms_.push_back("dimm0");
    start(to_xml(describe()));
    try {
        greet();
        settle();
    } catch (...) {
        virDomainDestroy(domain_.get());
        throw;
    }
}

QemuGuest::~QemuGuest() {
    events_.reset();
    virDomainDestroy(domain_.get());
}

// Never defined, so that nothing is left when it is destroyed. A daemon does that, too, when the connection
// ends; where the driver is in this program, the guardian of its folder does (vmm/libvirt/private_folder.h).
void QemuGuest::start(const std::string& xml) {
    spdlog::debug("domain:\n{}", xml);
    waiter().interruption().check();
    std::unique_ptr<char, decltype(&std::free)> uri(virConnectGetURI(connection_), std::free);
    const bool embedded = std::string_view(uri ? uri.get() : "").starts_with("qemu:///embed");
    const unsigned flags = embedded ? 0u : static_cast<unsigned>(VIR_DOMAIN_START_AUTODESTROY);
    domain_.reset(checked(virDomainCreateXML(connection_, xml.c_str(), flags | VIR_DOMAIN_START_VALIDATE),
                          fmt::format("cannot start a guest for {}", name_of(config_.way))));
}

bool QemuGuest::runs() {
    int state = VIR_DOMAIN_NOSTATE;
    return virDomainGetState(domain_.get(), &state, nullptr, 0) == 0 && state == VIR_DOMAIN_RUNNING;
}

// KVM that cannot run a guest stops it, and nothing comes of it any more: no need to wait then.
void QemuGuest::greet() {
    constexpr std::chrono::milliseconds look(200);
    events_ = std::make_unique<QemuEvents>(connection_, domain_.get(), waiter());
    const Clock::time_point end = Clock::now() + waiter().deadline();
    while (true) {
        const auto line = channel_.receive(std::min<Clock::duration>(look, end - Clock::now()));
        if (line && line->text.starts_with("hello ")) return;
        if (!runs()) give_up("stopped while it booted");
        if (Clock::now() >= end) give_up("did not boot until the deadline");
    }
}

// ---- talking to it ----

std::string QemuGuest::last_words() {
    const std::string last = console_.tail();
    return last.empty() ? "" : "; its console says:\n" + last;
}

GuestChannel::Line QemuGuest::receive() {
    auto line = channel_.receive(waiter().deadline());
    if (!line && !runs()) give_up("died");
    if (!line) give_up("did not answer until the deadline; see --deadline");
    return std::move(*line);
}

uint64_t QemuGuest::host_bytes() {
    std::array<virDomainMemoryStatStruct, VIR_DOMAIN_MEMORY_STAT_NR> stats;
    const int count = checked(virDomainMemoryStats(domain_.get(), stats.data(), stats.size(), 0),
                              "cannot ask for the guest's memory");
    for (int i = 0; i < count; i++)
        if (stats[static_cast<size_t>(i)].tag == VIR_DOMAIN_MEMORY_STAT_RSS)
            return stats[static_cast<size_t>(i)].val << 10;
    throw std::runtime_error("libvirt does not say how much memory the guest's QEMU has");
}

// ---- resizing ----

void QemuGuest::change(const Resizing& resizing, Measured& measured) {
    events_->clear();
    const Clock::time_point begin = Clock::now();
    resizing.grows() ? grow(resizing) : shrink(resizing);
    measured.command = ns_between(begin, Clock::now());
    measured.guest = ns_between(begin, take_reached(measured));
    const auto event = wait_for_event(resizing);
    if (!event) give_up("has resized, but libvirt's event did not come until the deadline");
    measured.event = ns_between(begin, *event);
}

void QemuGuest::grow(const Resizing& resizing) {
    if (config_.way == Way::dimm) return attach_dimm(resizing.bytes());
    config_.way == Way::balloon ? set_balloon(resizing.to) : set_virtio_mem(resizing.to);
}

void QemuGuest::shrink(const Resizing& resizing) {
    if (config_.way == Way::dimm) {
        checked(virDomainDetachDeviceAlias(domain_.get(), dimms_.back().c_str(), VIR_DOMAIN_AFFECT_LIVE),
                "cannot detach a DIMM");
        return;
    }
    config_.way == Way::balloon ? set_balloon(resizing.to) : set_virtio_mem(resizing.to);
}

void QemuGuest::set_balloon(uint64_t size) {
    checked(virDomainSetMemoryFlags(domain_.get(), (base_memory(schedule()) + size) >> 10,
                                    VIR_DOMAIN_AFFECT_LIVE),
            "cannot set the balloon");
}

QemuDomain::VirtioMem QemuGuest::virtio_mem(uint64_t size) const {
    constexpr unsigned free_slot = 0x10;
    constexpr uint64_t memory_block = 128 * mib;  // Linux adds no device that is smaller
    const uint64_t least = schedule().least();
    return {(schedule().most() - least + memory_block - 1) / memory_block * memory_block,
            large_page,
            size - least,
            0,
            free_slot,
            virtio_mem_alias};
}

void QemuGuest::set_virtio_mem(uint64_t size) {
    checked(
        virDomainUpdateDeviceFlags(domain_.get(), to_xml(virtio_mem(size)).c_str(), VIR_DOMAIN_AFFECT_LIVE),
        "cannot set virtio-mem's size");
}

void QemuGuest::attach_dimm(uint64_t bytes) {
    dimms_.push_back(fmt::format("ua-dimm{}", dimms_made_++));  // a name of ours has to begin so
    const std::string xml = dimm_xml(dimms_.back(), bytes);
    checked(virDomainAttachDeviceFlags(domain_.get(), xml.c_str(), VIR_DOMAIN_AFFECT_LIVE),
            "cannot attach a DIMM");
}

std::optional<Clock::time_point> QemuGuest::wait_for_event(const Resizing& resizing) {
    if (config_.way == Way::balloon) return events_->balloon(base_memory(schedule()) + resizing.to);
    if (config_.way == Way::virtio_mem)
        return events_->device_size(virtio_mem_alias, resizing.to - schedule().least());
    if (resizing.grows()) return events_->device_added(dimms_.back());
    const std::string alias = dimms_.back();
    dimms_.pop_back();
    return events_->device_removed(alias);
}

}  // namespace gpremap
