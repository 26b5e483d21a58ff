#include "vmm/compare/gpremap_linux_guest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "vmm/base/errno_names.h"
#include "vmm/base/errors.h"
#include "vmm/base/units.h"
#include "vmm/compare/needs.h"
#include "vmm/host/resident_pages.h"

namespace gpremap {

namespace {

constexpr uint64_t large_page = 2ull << 20;
// By which the shell passes lines on to the program, and its own.
constexpr const char* to_program = "/resize_guest.in";
constexpr const char* from_program = "/resize_guest.out";

MachineConfig booting_within(MachineConfig config, std::chrono::duration<double> longest) {
    config.linux_guest.boot_deadline = longest.count();
    return config;
}

}  // namespace

MachineConfig linux_machine(MachineConfig config, const Schedule& schedule, const GuestSettings& settings) {
    const uint64_t boot = ResizedLinux::base_memory(schedule) + schedule.least();
    if (boot > highest_linux_memory)
        throw ConfigError(
            fmt::format("gpremap-linux: its guest would boot with {}, of which {} are the range's least "
                        "size; expected at "
                        "most {}: begin smaller, or leave it out of --with",
                        format_size(boot), format_size(schedule.least()), format_size(highest_linux_memory)));
    config.guest = GuestKind::linux;
    config.vcpus = 2;  // the second is the workload's
    config.ring = false;
    config.memory.aperture_base = std::max(config.memory.aperture_base, lowest_linux_aperture);
    LinuxConfig& guest = config.linux_guest;
    guest.memory = (boot + large_page - 1) / large_page * large_page;
    guest.append += (guest.append.empty() ? "" : " ") + kernel_parameters(settings);
    guest.add.push_back(guest_files().program);
    return config;
}

GpremapLinuxGuest::GpremapLinuxGuest(const MachineConfig& config, const Schedule& schedule, Waiter& waiter)
    : ResizedLinux(Way::gpremap_linux, schedule, waiter),
      boot_memory_(abi::agent_size + config.linux_guest.memory),
      machine_(booting_within(config, waiter.deadline())),
      orders_(machine_.guest(),
              [this](unsigned, const abi::Step& step) { return perform(step, this->waiter().deadline()); }) {
    start_program();
    if (schedule.initial > schedule.least()) plug(schedule.initial - schedule.least());
    settle();
}

// ---- its shell ----

Performed GpremapLinuxGuest::perform(const abi::Step& step, Clock::duration longest) {
    constexpr std::chrono::milliseconds slice(20);  // in which an interruption is noticed
    constexpr unsigned vcpu = 0;
    const Clock::time_point end = Clock::now() + longest;
    machine_.start(vcpu, step);
    while (!machine_.wait_until_done(vcpu, slice)) {
        waiter().interruption().check();
        if (Clock::now() >= end) give_up("did not answer until the deadline; see --deadline");
    }
    return machine_.finish(vcpu);
}

std::string GpremapLinuxGuest::shell(const std::string& command) {
    Orders::Commanded done = orders_.command(0, command);
    std::string& output = done.output;
    while (!output.empty() && output.back() == '\n') output.pop_back();
    if (const int64_t status = done.performed.report.result; status != 0)
        give_up(fmt::format("ended `{}` with {}: {}", command, status, output));
    return std::move(output);
}

// Once the shell has found it, it goes on beside the steps.
void GpremapLinuxGuest::start_program() {
    if (orders_.command(0, "command -v resize_guest").performed.report.result != 0)
        give_up(fmt::format("has no resize_guest in its image: make that with --add {}",
                            guest_files().program.string()));
    shell(fmt::format("mkfifo {0} {1} && {{ resize_guest {0} {1} < /dev/null > /dev/console 2>&1 & }}",
                      to_program, from_program));
    answer("hello");
}

void GpremapLinuxGuest::send(const std::string& line) {
    shell(fmt::format("echo '{}' > {}", line, to_program));
}

GuestChannel::Line GpremapLinuxGuest::receive() {
    std::string line = shell(fmt::format("read -r line < {} && echo \"$line\"", from_program));
    return {std::move(line), Clock::now()};
}

// ---- its memory ----

// As of QEMU: what the kernel booted with, and what is plugged.
uint64_t GpremapLinuxGuest::host_bytes() {
    const std::byte* const boot = machine_.guest().own_memory(abi::agent_base, boot_memory_);
    return machine_.remapper().resident_bytes() + anonymous_bytes(boot, boot_memory_);
}

uint64_t GpremapLinuxGuest::plug(uint64_t size) {
    const Performed done = perform(order::plug(size), waiter().deadline());
    const int64_t at = done.report.result;
    if (at < 0)
        give_up(fmt::format("was refused {} of RAM: {}{}", format_size(size), errno_name(-at),
                            at == -ENOMEM ? "; is `limit` too low?" : ""));
    plugged_.push_back({static_cast<uint64_t>(at), size});
    return done.guest_ns;
}

uint64_t GpremapLinuxGuest::unplug(uint64_t size) {
    uint64_t ns = 0;
    while (size > 0) {
        const uint64_t part = std::min(size, plugged_.back().size);
        ns += unplug_last(part);
        size -= part;
    }
    return ns;
}

// From the end of what was plugged last.
uint64_t GpremapLinuxGuest::unplug_last(uint64_t size) {
    constexpr std::chrono::seconds to_say_so(30);
    Plugged& last = plugged_.back();
    const std::chrono::duration<double> within = waiter().deadline();
    const Performed done = perform(order::unplug(last.at + last.size - size, size, within.count()),
                                   waiter().deadline() + to_say_so);
    const int64_t gone = done.report.result;
    if (gone < 0 || static_cast<uint64_t>(gone) != size)
        give_up(
            fmt::format("gave up {} of {} until the deadline; see --deadline",
                        gone < 0 ? std::string(errno_name(-gone)) : format_size(static_cast<uint64_t>(gone)),
                        format_size(size)));
    last.size -= size;
    if (last.size == 0) plugged_.pop_back();
    return done.guest_ns;
}

void GpremapLinuxGuest::change(const Resizing& resizing, Measured& measured) {
    const Clock::time_point begin = Clock::now();
    measured.guest = resizing.grows() ? plug(resizing.bytes()) : unplug(resizing.bytes());
    measured.command = ns_between(begin, Clock::now());
    take_reached(measured);
}

}  // namespace gpremap
