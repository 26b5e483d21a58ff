// A Linux kernel as a guest, and in it, as a process, the agent.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vmm/config/machine_config.h"
#include "vmm/guests/agent/desk_guest.h"
#include "vmm/guests/linux/boot_x86_64.h"
#include "vmm/guests/linux/console.h"
#include "vmm/guests/linux/keyboard.h"
#include "vmm/guests/linux/serial_port.h"

namespace gpremap {

class LinuxGuest final : public DeskGuest {
  public:
    // Loads kernel, initramfs and the agent's image into `vm`, whose interrupt controllers it makes. Throws ConfigError for
    // files that are no such thing or do not fit, HostLacks where the host's KVM cannot run a kernel.
    LinuxGuest(Vm& vm, unsigned vcpus, const Aperture& aperture, const LinuxConfig& config);

    void start(unsigned vcpu, Vcpu& state) override;
    std::optional<int64_t> control(unsigned vcpu, Vcpu& state, const Hypercall& call,
                                   Activity& activity) override;
    Known port(unsigned vcpu, Vcpu& state, const exits::Io& io) override;
    Known device(Vcpu& state, const exits::Mmio& mmio) override;
    void deliver(unsigned vcpu, Vcpu& state, const abi::Fault& fault) override;
    std::string last_words(unsigned vcpu) const override;
    std::optional<uint64_t> translate(unsigned vcpu, uint64_t address) const override;

    // Throws GuestDied where the agent does not ask for steps in time.
    void wait_until_ready(unsigned vcpu) override;
    void begin(unsigned vcpu, const abi::Step& step) override;
    uint32_t tsc_khz(unsigned vcpu) const override { return processors_.at(vcpu).tsc_khz; }

  private:
    using Clock = std::chrono::steady_clock;

    // Of one vCPU's thread.
    struct Processor {
        Vcpu* state = nullptr;
        uint32_t tsc_khz = 0;
        bool greeted = false;
    };

    int64_t describe_world(uint64_t buffer);

    Vm& vm_;
    const Aperture aperture_;
    const double boot_deadline_;  // seconds
    const Clock::time_point began_ = Clock::now();
    Console console_;
    SerialPort serial_;
    const uint64_t agent_entry_;
    LoadedKernel kernel_;
    std::vector<Processor> processors_;
    std::optional<Keyboard> keyboard_;  // where the console has one
};

}  // namespace gpremap
