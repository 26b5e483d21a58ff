// A running VM with its guest: what scenarios, case files, the bench and the tests drive.
//
//     Machine machine(config);
//     Performed done = machine.perform(0, step);   // vCPU 0's guest does the step and reports
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/config/machine_config.h"
#include "vmm/memory/remapper.h"
#include "vmm/vcpus/guest.h"

namespace gpremap {

class Machine {
  public:
    // Opens KVM, creates the VM and its vCPUs, loads the guest and waits until it takes steps.
    // The thread of each vCPU runs on the host processor of `cpus` in its place; without them, where the calling
    // thread may. Throws HostLacks without /dev/kvm or a needed capability.
    explicit Machine(const MachineConfig& config, const std::vector<unsigned>& cpus = {});
    ~Machine();

    // Has the guest on `vcpu` do `step` and waits for its report. Throws GuestDied with registers and
    // the last hypercalls when the guest dies or a fault is unhandled.
    Performed perform(unsigned vcpu, const abi::Step& step);

    // The same in two halves, so that several vCPUs can be at work at once.
    void start(unsigned vcpu, const abi::Step& step);
    Performed finish(unsigned vcpu);
    // Whether finish() would return at once, or does within `longest`.
    bool wait_until_done(unsigned vcpu, std::chrono::milliseconds longest);

    // Has KVM map guest memory at stage 2 as if `vcpu`, which must have no step to do, had read it. The range
    // must be mapped and KvmCapabilities::pre_fault true. Throws std::system_error.
    void pre_fault(unsigned vcpu, uint64_t gpa, uint64_t size);

    unsigned vcpus() const;
    // A call that the host makes: no vCPU's. Structures that its arguments point to lie in the guest's own memory.
    Called call(abi::Call number, const std::array<uint64_t, 6>& args);
    Remapper& remapper();
    Guest& guest();
    // For the pause of all vCPUs (Vm::pause_others with VcpuGate::nobody), statistics and capabilities.
    Vm& vm();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace gpremap
