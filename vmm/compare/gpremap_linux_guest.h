// The same kernel and program as in QEMU's guest, in a VM of ours: RAM comes and goes by hypercall.
#pragma once

#include <string>
#include <vector>

#include "vmm/compare/resized_linux.h"
#include "vmm/config/machine_config.h"
#include "vmm/guests/agent/orders.h"
#include "vmm/machine/machine.h"

namespace gpremap {

// The machine of such a guest: memory as `config` has it, the schedule's least size at boot, and the program among the files
// that are added to an image. Throws ConfigError where that is more than a Linux guest can boot with.
MachineConfig linux_machine(MachineConfig config, const Schedule& schedule, const GuestSettings& settings);

class GpremapLinuxGuest final : public ResizedLinux {
  public:
    // Boots it, and waits until it has the schedule's initial memory, all of it stamped. `config` is of linux_machine(), with
    // an image. Throws ConfigError, HostLacks, GuestDied, Interrupted.
    GpremapLinuxGuest(const MachineConfig& config, const Schedule& schedule, Waiter& waiter);

    // What it has booted: "6.12.117+deb12-cloud-amd64".
    std::string release() { return shell("uname -r"); }

  private:
    struct Plugged {
        uint64_t at = 0;
        uint64_t size = 0;
    };

    // ns of the guest's time. What came last goes first.
    uint64_t plug(uint64_t size);
    uint64_t unplug(uint64_t size);
    uint64_t unplug_last(uint64_t size);

    Performed perform(const abi::Step& step, Clock::duration longest);
    // What the command has written, without the last line's end. Gives up where it fails.
    std::string shell(const std::string& command);
    void start_program();

    void send(const std::string& line) override;
    GuestChannel::Line receive() override;
    std::string last_words() override { return machine_.guest().last_words(0); }
    uint64_t host_bytes() override;
    void change(const Resizing& resizing, Measured& measured) override;

    const uint64_t boot_memory_;  // bytes
    Machine machine_;
    Orders orders_;
    std::vector<Plugged> plugged_;
};

}  // namespace gpremap
