// A guest that has the agent in it, in whatever world: a desk for each vCPU, and memory of its own from abi::agent_base on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "vmm/guests/agent/agent_memory.h"
#include "vmm/guests/agent/desk.h"
#include "vmm/guests/agent/world.h"
#include "vmm/vcpus/guest.h"

namespace gpremap {

// An `out` of 4 bytes to that port.
bool is_announcement(const exits::Io& io, uint16_t port);

class DeskGuest : public Guest {
  public:
    // agent_guest_<architecture>.cpp
    std::optional<Hypercall> hypercall(const exits::Io& io, const kvm_regs& regs) const override;
    std::byte* own_memory(uint64_t gpa, std::size_t size) override { return memory_.find(gpa, size); }
    bool owns(uint64_t gpa) const override { return memory_.contains(gpa); }
    uint64_t empty_page_table() const override { return layout::empty_table; }
    [[nodiscard]] bool read(uint64_t at, void* to, std::size_t size) const override {
        return memory_.read(at, to, size);
    }
    [[nodiscard]] bool write(uint64_t at, const void* from, std::size_t size) override {
        return memory_.write(at, from, size);
    }

    void stop(std::exception_ptr cause) override {
        for (auto& desk : desks_) desk->stop(cause);
    }
    void wait_until_ready(unsigned vcpu) override { desk(vcpu).wait_until_ready(); }
    void begin(unsigned vcpu, const abi::Step& step) override { desk(vcpu).begin(step); }
    Performed finish(unsigned vcpu) override { return desk(vcpu).finish(); }
    bool wait_until_done(unsigned vcpu, std::chrono::milliseconds longest) override {
        return desk(vcpu).wait_until_done(longest);
    }
    void require_idle(unsigned vcpu) override { desk(vcpu).require_idle(); }

  protected:
    DeskGuest(Vm& vm, unsigned vcpus, uint64_t kernel_size) : memory_(vm, kernel_size) {
        for (unsigned vcpu = 0; vcpu < vcpus; vcpu++)
            desks_.push_back(std::make_unique<Desk>(vcpu, vm, memory_));
    }

    Desk& desk(unsigned vcpu) { return *desks_.at(vcpu); }
    AgentMemory& memory() { return memory_; }
    const AgentMemory& memory() const { return memory_; }

    // Throws GuestEnds where the agent was built with another version of the ABI.
    static void require_version(uint64_t version);
    // Throws GuestEnds with the fault in the mailbox, for which the agent has no handler.
    [[noreturn]] void end_unhandled(unsigned vcpu) const;

  private:
    AgentMemory memory_;
    std::vector<std::unique_ptr<Desk>> desks_;
};

}  // namespace gpremap
