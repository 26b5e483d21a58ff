#include "vmm/guests/linux/linux_guest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "guest/abi/linux.h"
#include "vmm/base/errors.h"
#include "vmm/base/text_file.h"
#include "vmm/guests/linux/acpi_tables.h"
#include "vmm/guests/linux/processor_x86_64.h"
#include "vmm/vcpus/post_mortem.h"

namespace gpremap {
namespace {

constexpr size_t largest_image = size_t{1} << 30;  // bytes, of a kernel and of an initramfs
constexpr unsigned reported_lines = 48;            // of the console: what Linux says as it dies is forty long

// `quiet`: a console costs an exit for each byte. The clock is the TSC, whose reliability no second clock can confirm here.
std::string command_line_of(const LinuxConfig& config) {
    std::string line =
        "console=ttyS0 quiet tsc=reliable reboot=t panic=-1 memhp_default_state=online_movable";
    if (!config.append.empty()) line += ' ' + config.append;
    return line;
}

LoadedKernel load(std::span<std::byte> memory, const LinuxConfig& config, unsigned vcpus) {
    const uint64_t at = abi::agent_base + abi::agent_size;
    LoadedKernel kernel = load_kernel(memory, at, read_text(config.kernel, largest_image), config.kernel);
    write_acpi_tables(memory, vcpus);
    const std::string initramfs = read_text(config.initramfs, largest_image);
    write_boot_data(memory, kernel, {initramfs, command_line_of(config)}, acpi_tables_address);
    return kernel;
}

}  // namespace

LinuxGuest::LinuxGuest(Vm& vm, unsigned vcpus, const Aperture& aperture, const LinuxConfig& config)
    : DeskGuest(vm, vcpus, config.memory),
      vm_(vm),
      aperture_(aperture),
      boot_deadline_(config.boot_deadline),
      console_(config.console),
      serial_([this](char byte) { console_.put(byte); }, [this] { vm_.pulse_irq(serial_line); }),
      agent_entry_(build_agent_world(memory().bytes(), aperture, vm.capabilities())),
      kernel_(load(memory().bytes(), config, vcpus)),
      processors_(vcpus) {
    vm.create_irqchip();
    if (config.console == "terminal") keyboard_.emplace([this](uint8_t byte) { serial_.receive(byte); });
}

// The other vCPUs wait for the first to start them.
void LinuxGuest::start(unsigned vcpu, Vcpu& state) {
    processors_.at(vcpu).state = &state;
    processors_.at(vcpu).tsc_khz = state.tsc_khz();
    prepare_processor(state, vm_.supported_cpuid(), vcpu, static_cast<unsigned>(processors_.size()));
    if (vcpu != 0) return;
    state.set_special_registers(boot_special_registers(state.special_registers()));
    state.set_registers(boot_registers(kernel_));
}

std::string LinuxGuest::last_words(unsigned) const {
    return console_.last_lines(reported_lines);
}

std::optional<uint64_t> LinuxGuest::translate(unsigned vcpu, uint64_t address) const {
    return processors_.at(vcpu).state->translate(address);
}

// ---- hypercalls ----

std::optional<int64_t> LinuxGuest::control(unsigned vcpu, Vcpu&, const Hypercall& call, Activity& activity) {
    Processor& processor = processors_.at(vcpu);
    switch (call.number) {
        case abi::Call::world:
            return describe_world(call.args[0]);
        case abi::Call::hello:
            require_version(call.args[0]);
            processor.greeted = true;
            return 0;
        case abi::Call::next:
            return processor.greeted ? desk(vcpu).take_step(activity, Desk::WhenNone::again) : -EPROTO;
        case abi::Call::done:
            return desk(vcpu).hand_in_report(activity, processor.tsc_khz);
        case abi::Call::unhandled:
            end_unhandled(vcpu);
        case abi::Call::power_off:
            throw GuestEnds(fmt::format("the Linux guest has ended with status {}{}",
                                        static_cast<int64_t>(call.args[0]), last_words(vcpu)));
        // The process in which the agent runs sees to these.
        case abi::Call::fault_handler:
        case abi::Call::resume:
        case abi::Call::flush_tlb:
        case abi::Call::nop:
            return 0;
        default:
            return -ENOSYS;
    }
}

int64_t LinuxGuest::describe_world(uint64_t buffer) {
    // Below lie what the kernel needs of the first MiB, and pages that no process may map.
    constexpr uint64_t agent_begin = abi::image_base;
    gpremap_linux_world world = {};
    world.aperture_base = aperture_.base;
    world.aperture_size = aperture_.size;
    world.agent_base = agent_begin;
    world.agent_size = abi::agent_base + abi::agent_size - agent_begin;
    world.entry = agent_entry_;
    world.tables = layout::tables_block;
    world.vcpus = processors_.size();
    for (unsigned vcpu = 0; vcpu < processors_.size(); vcpu++)
        world.vcpu[vcpu] = {layout::mailbox(vcpu), layout::stack_top(vcpu)};
    return write(buffer, &world, sizeof world) ? 0 : -EFAULT;
}

// ---- devices ----

// All but the serial port is answered as where nothing is.
Guest::Known LinuxGuest::port(unsigned, Vcpu&, const exits::Io& io) {
    const bool is_serial = io.port >= serial_port_base && io.port < serial_port_base + 8 && io.size == 1;
    // Bit 5 of port 0x61 is a timer's output, for which a kernel may wait.
    constexpr uint16_t system_control = 0x61;
    for (unsigned i = 0; i < io.count; i++) {
        std::byte* data = io.data + i * io.size;
        if (is_serial && io.direction == exits::Io::Direction::out)
            serial_.write(io.port - serial_port_base, static_cast<uint8_t>(*data));
        else if (is_serial)
            *data = std::byte{serial_.read(io.port - serial_port_base)};
        else if (io.direction == exits::Io::Direction::in)
            std::memset(data, io.port == system_control ? 0 : 0xff, io.size);
    }
    return Known::yes;
}

Guest::Known LinuxGuest::device(Vcpu& state, const exits::Mmio& mmio) {
    if (owns(mmio.gpa) || mmio.gpa - aperture_.base < aperture_.size) return Known::no;
    if (mmio.kind == abi::FaultKind::read) state.answer_read_with_ones();
    return Known::yes;
}

// Processes do not get this far: the module lets them reach only what is mapped.
void LinuxGuest::deliver(unsigned vcpu, Vcpu&, const abi::Fault& fault) {
    throw GuestEnds("the kernel uses memory of the aperture that is not mapped: " + describe(fault) +
                    last_words(vcpu));
}

// ---- steps ----

void LinuxGuest::wait_until_ready(unsigned vcpu) {
    using std::chrono::milliseconds;
    const std::chrono::duration<double> longest(boot_deadline_);  // of all vCPUs together
    const auto left = std::chrono::duration_cast<milliseconds>(began_ + longest - Clock::now());
    if (desk(vcpu).is_ready_within(std::max(left, milliseconds(0)))) return;
    throw GuestDied(fmt::format(
        "the Linux guest's agent on vCPU {} has not asked for steps within {} s, linux.boot_deadline{}", vcpu,
        boot_deadline_, last_words(vcpu)));
}

void LinuxGuest::begin(unsigned vcpu, const abi::Step& step) {
    DeskGuest::begin(vcpu, step);
    vm_.pulse_irq(GPREMAP_LINUX_IRQ);
}

}  // namespace gpremap
