#include "vmm/compare/qemu_guest.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <sstream>
#include <string_view>

#include "vmm/base/errors.h"
#include "vmm/libvirt/xml_writer.h"

namespace gpremap {

namespace {

constexpr uint64_t mib = 1ull << 20;
constexpr uint64_t large_page = 2 * mib;
constexpr const char* virtio_mem_alias = "ua-virtio-mem";

// What Linux keeps free, its watermarks, and the page structures and tables of the memory that is added.
uint64_t spare(uint64_t most) {
    return 192 * mib + most / 32;
}

uint64_t aligned(uint64_t bytes) {
    return (bytes + large_page - 1) / large_page * large_page;
}

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

uint64_t QemuGuest::base_memory(const Schedule& schedule) {
    return aligned(384 * mib + schedule.most() / 16);
}

// Memory that a balloon leaves or a device has, beyond what the guest booted with.
QemuDomain QemuGuest::describe() const {
    const uint64_t least = schedule_.least(), most = schedule_.most(), base = base_memory(schedule_);
    const bool has_balloon = config_.way == Way::balloon;
    QemuDomain domain;
    domain.name = domain_name(config_.way);
    domain.type = config_.type;
    domain.cpu_mode = config_.type == QemuDomain::Type::kvm ? "host-passthrough" : "maximum";
    domain.vcpus = 2;  // the second is the workload's
    domain.kernel = config_.image.kernel;
    domain.initrd = config_.image.initrd;
    domain.cmdline =
        fmt::format("console=ttyS0 quiet panic=-1 maxcpus=1 init_on_alloc={} memhp_default_state={}",
                    config_.settings.init_on_alloc ? 1 : 0, config_.settings.memhp_default_state);
    domain.boot_memory = base + (has_balloon ? most : least);
    if (has_balloon) domain.current_memory = base + schedule_.initial;
    domain.balloon = QemuDomain::Balloon{};
    if (!has_balloon)
        domain.max_memory = QemuDomain::MaxMemory{domain.boot_memory + 2 * (most - least) + 1024 * mib, 16};
    if (config_.way == Way::virtio_mem) domain.virtio_mems = {virtio_mem(schedule_.initial)};
    if (config_.way == Way::dimm && schedule_.initial > least)
        domain.dimms = {{schedule_.initial - least, 0}};
    using Channel = QemuDomain::Channel;
    domain.channels = {{Channel::Kind::isa_serial, console_.path(), "", Channel::Listener::peer},
                       {Channel::Kind::virtio_serial, channel_.path(), "gpremap", Channel::Listener::peer}};
    return domain;
}

QemuGuest::QemuGuest(virConnectPtr connection, const QemuGuestConfig& config, const Schedule& schedule,
                     Waiter& waiter)
    : connection_(connection),
      config_(config),
      schedule_(schedule),
      waiter_(waiter),
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
// ends; where the driver is in this program, the guest powers off when its channel ends.
void QemuGuest::start(const std::string& xml) {
    spdlog::debug("domain:\n{}", xml);
    waiter_.interruption().check();
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
    events_ = std::make_unique<QemuEvents>(connection_, domain_.get(), waiter_);
    const Clock::time_point end = Clock::now() + waiter_.deadline();
    while (true) {
        const auto line = channel_.receive(std::min<Clock::duration>(look, end - Clock::now()));
        if (line && line->text.starts_with("hello ")) return;
        if (!runs()) give_up("stopped while it booted");
        if (Clock::now() >= end) give_up("did not boot until the deadline");
    }
}

// Until the balloon is as large as it is to be and memory that was there at boot is in use.
void QemuGuest::settle() {
    constexpr std::chrono::milliseconds look(300);
    constexpr unsigned same_enough = 3;
    const Clock::time_point end = Clock::now() + waiter_.deadline();
    for (unsigned same = 0; same < same_enough;) {
        if (Clock::now() >= end) give_up("did not come to its initial memory until the deadline");
        waiter_.sleep(look);
        const uint64_t total = std::stoull(ask("total", "total"));
        same = total == initial_total_ ? same + 1 : 0;
        initial_total_ = total;
    }
    const uint64_t used = schedule_.initial - schedule_.least();
    ask(fmt::format("hold {}", spare(schedule_.most()) + used), "held");
    use(schedule_.initial);
    ask("verify", "right");
}

// ---- talking to it ----

void QemuGuest::give_up(const std::string& what) {
    std::string text = fmt::format("the guest ({}) {}", name_of(config_.way), what);
    if (const std::string last = console_.tail(); !last.empty()) text += "; its console says:\n" + last;
    throw GuestDied(text);
}

std::string QemuGuest::answer(const std::string& expected, Clock::time_point* at) {
    const auto line = channel_.receive(waiter_.deadline());
    if (!line && !runs()) give_up("died");
    if (!line) give_up("did not answer until the deadline; see --deadline");
    if (at) *at = line->at;
    if (!line->text.starts_with(expected)) give_up("answered '" + line->text + "', expected " + expected);
    return line->text.substr(std::min(line->text.size(), expected.size() + 1));
}

std::string QemuGuest::ask(const std::string& request, const std::string& expected) {
    channel_.send(request);
    return answer(expected);
}

// Of the range, what is above the schedule's least: that much is new memory.
void QemuGuest::use(uint64_t size) {
    ask(fmt::format("use {}", size - schedule_.least()), "used");
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

// QEMU unmaps a DIMM's memory only a while after it has told of it: when none of its threads looks at it any
// more.
uint64_t QemuGuest::settled_host_bytes() {
    constexpr std::chrono::milliseconds look(100);
    constexpr unsigned least_looks = 4, most_looks = 20;
    uint64_t last = host_bytes();
    for (unsigned looks = 0; looks < most_looks; looks++) {
        waiter_.sleep(look);
        const uint64_t now = host_bytes();
        if (looks >= least_looks && now == last) break;
        last = now;
    }
    return last;
}

// ---- resizing ----

Measured QemuGuest::resize(const Resizing& resizing) {
    if (!resizing.grows()) use(resizing.to);
    Measured measured;
    measured.host_before = host_bytes();
    events_->clear();
    const uint64_t total = initial_total_ + resizing.to - schedule_.initial;
    ask(fmt::format("await {} {}", resizing.grows() ? "least" : "most", total), "watching");

    const Clock::time_point begin = Clock::now();
    resizing.grows() ? grow(resizing) : shrink(resizing);
    measured.command = ns_between(begin, Clock::now());
    Clock::time_point reached;
    std::istringstream workload(answer("reached", &reached));
    workload >> measured.lost >> measured.pause;
    measured.guest = ns_between(begin, reached);
    const auto event = wait_for_event(resizing);
    if (!event) give_up("has resized, but libvirt's event did not come until the deadline");
    measured.event = ns_between(begin, *event);

    if (resizing.grows())
        measured.install = std::stoull(ask(fmt::format("use {}", resizing.to - schedule_.least()), "used"));
    measured.host_after = settled_host_bytes();
    ask("verify", "right");
    return measured;
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
    checked(
        virDomainSetMemoryFlags(domain_.get(), (base_memory(schedule_) + size) >> 10, VIR_DOMAIN_AFFECT_LIVE),
        "cannot set the balloon");
}

QemuDomain::VirtioMem QemuGuest::virtio_mem(uint64_t size) const {
    constexpr unsigned free_slot = 0x10;
    constexpr uint64_t memory_block = 128 * mib;  // Linux adds no device that is smaller
    const uint64_t least = schedule_.least();
    return {(schedule_.most() - least + memory_block - 1) / memory_block * memory_block,
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
    if (config_.way == Way::balloon) return events_->balloon(base_memory(schedule_) + resizing.to);
    if (config_.way == Way::virtio_mem)
        return events_->device_size(virtio_mem_alias, resizing.to - schedule_.least());
    if (resizing.grows()) return events_->device_added(dimms_.back());
    const std::string alias = dimms_.back();
    dimms_.pop_back();
    return events_->device_removed(alias);
}

}  // namespace gpremap
