// A running VM with its agent: what scenarios, case files, the bench and the tests drive.
//
//     Machine machine(config);
//     Performed done = machine.perform(0, step);   // vCPU 0's agent does the step and reports
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "guest/abi/agent.h"
#include "vmm/config/machine_config.h"
#include "vmm/guests/agent/performed.h"
#include "vmm/memory/remapper.h"

namespace gpremap {

class Machine {
  public:
    // Opens KVM, creates the VM and its vCPUs, loads the agent and waits until it has said hello.
    // Throws HostLacks without /dev/kvm or a needed capability.
    explicit Machine(const MachineConfig& config);
    ~Machine();

    // Has the agent on `vcpu` do `step` and waits for its report. Throws GuestDied with registers and
    // the last hypercalls when the guest dies or a fault is unhandled.
    Performed perform(unsigned vcpu, const abi::Step& step);

    // The same in two halves, so that several vCPUs can be at work at once.
    void start(unsigned vcpu, const abi::Step& step);
    Performed finish(unsigned vcpu);

    // Has KVM map guest memory at stage 2 as if `vcpu`, which must have no step to do, had read it. The range
    // must be mapped and KvmCapabilities::pre_fault true. Throws std::system_error.
    void pre_fault(unsigned vcpu, uint64_t gpa, uint64_t size);

    unsigned vcpus() const;
    Remapper& remapper();
    // For the pause of all vCPUs (Vm::pause_others with VcpuGate::nobody), statistics and capabilities.
    Vm& vm();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace gpremap
