// The agent as a guest: a program in ring 3 on tables that map 1:1, with a desk for each of its vCPUs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmm/guests/agent/agent_memory.h"
#include "vmm/guests/agent/desk.h"
#include "vmm/guests/agent/world.h"
#include "vmm/vcpus/guest.h"

namespace gpremap {

// An `out` of 4 bytes to that port.
bool is_announcement(const exits::Io& io, uint16_t port);

class AgentGuest final : public Guest {
  public:
    // How the calls of steps reach the VMM: those that it is told to make by a ring go by an exit where they remap nothing.
    enum class Calls { by_exit, by_ring };

    // Loads the agent into `vm`, for so many vCPUs. Throws as build_agent_world does.
    AgentGuest(Vm& vm, unsigned vcpus, const Aperture& aperture, Calls calls);

    void start(unsigned vcpu, Vcpu& state) override;
    std::optional<Hypercall> hypercall(const exits::Io& io, const kvm_regs& regs) const override;
    std::optional<int64_t> control(unsigned vcpu, Vcpu& state, const Hypercall& call,
                                   Activity& activity) override;
    Known port(unsigned vcpu, Vcpu& state, const exits::Io& io) override;
    void deliver(unsigned vcpu, Vcpu& state, const abi::Fault& fault) override;
    std::string last_words(unsigned vcpu) const override;

    std::optional<uint64_t> translate(unsigned, uint64_t address) const override { return address; }
    std::byte* own_memory(uint64_t gpa, std::size_t size) override { return memory_.find(gpa, size); }
    bool owns(uint64_t gpa) const override { return AgentMemory::contains(gpa); }
    uint64_t empty_page_table() const override { return layout::empty_table; }
    [[nodiscard]] bool read(uint64_t at, void* to, std::size_t size) const override {
        return memory_.read(at, to, size);
    }
    [[nodiscard]] bool write(uint64_t at, const void* from, std::size_t size) override {
        return memory_.write(at, from, size);
    }

    void stop(std::exception_ptr cause) override;
    void wait_until_ready(unsigned vcpu) override { at(vcpu).desk.wait_until_ready(); }
    void begin(unsigned vcpu, const abi::Step& step) override;
    Performed finish(unsigned vcpu) override { return at(vcpu).desk.finish(); }
    uint32_t tsc_khz(unsigned vcpu) const override { return agents_.at(vcpu)->tsc_khz; }
    bool wait_until_done(unsigned vcpu, std::chrono::milliseconds longest) override {
        return at(vcpu).desk.wait_until_done(longest);
    }
    void require_idle(unsigned vcpu) override { at(vcpu).desk.require_idle(); }

  private:
    // One vCPU's agent. All but the desk is of the vCPU's thread alone.
    struct Agent {
        Agent(unsigned vcpu, const Vm& vm, AgentMemory& memory) : desk(vcpu, vm, memory) {}

        Desk desk;
        uint32_t tsc_khz = 0;
        bool greeted = false;
        bool in_handler = false;  // a fault was delivered, and the report has not come since
        std::optional<uint64_t> fault_handler;
    };

    Agent& at(unsigned vcpu) { return *agents_.at(vcpu); }
    void greet(Agent& agent, uint64_t version);
    Known handle_exception(unsigned vcpu,
                           Vcpu& state);  // agent_guest_<architecture>.cpp, as hypercall and last_words
    [[noreturn]] void end_unhandled(unsigned vcpu) const;

    AgentMemory memory_;
    const Calls calls_;
    const Aperture aperture_;
    const uint64_t entry_;
    std::vector<std::unique_ptr<Agent>> agents_;
};

}  // namespace gpremap
