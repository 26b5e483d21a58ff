// The agent as a guest: a program in ring 3 on tables that map 1:1, with a desk for each of its vCPUs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vmm/guests/agent/desk_guest.h"

namespace gpremap {

class AgentGuest final : public DeskGuest {
  public:
    // How the calls of steps reach the VMM: those that it is told to make by a ring go by an exit where they remap nothing.
    enum class Calls { by_exit, by_ring };

    // Loads the agent into `vm`, for so many vCPUs. Throws as build_agent_world does.
    AgentGuest(Vm& vm, unsigned vcpus, const Aperture& aperture, Calls calls);

    void start(unsigned vcpu, Vcpu& state) override;
    std::optional<int64_t> control(unsigned vcpu, Vcpu& state, const Hypercall& call,
                                   Activity& activity) override;
    Known port(unsigned vcpu, Vcpu& state, const exits::Io& io) override;
    void deliver(unsigned vcpu, Vcpu& state, const abi::Fault& fault) override;
    std::string last_words(unsigned vcpu) const override;

    Known device(Vcpu&, const exits::Mmio&) override { return Known::no; }
    std::optional<uint64_t> translate(unsigned, uint64_t address) const override { return address; }
    void begin(unsigned vcpu, const abi::Step& step) override;
    uint32_t tsc_khz(unsigned vcpu) const override { return agents_.at(vcpu).tsc_khz; }

  private:
    // What is known of one vCPU's agent, by the vCPU's thread.
    struct Agent {
        uint32_t tsc_khz = 0;
        bool greeted = false;
        bool in_handler = false;  // a fault was delivered, and the report has not come since
        std::optional<uint64_t> fault_handler;
    };

    Known handle_exception(unsigned vcpu,
                           Vcpu& state);  // agent_guest_<architecture>.cpp, as last_words

    const Calls calls_;
    const Aperture aperture_;
    const uint64_t entry_;
    std::vector<Agent> agents_;
};

}  // namespace gpremap
