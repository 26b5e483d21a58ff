// The agent's own memory, outside of the aperture: its image, tables, stacks and mailboxes. world.h says what lies
// where. Behind it may be that of a kernel in which the agent runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vmm/kvm/vm.h"
#include "vmm/memory/caller.h"

namespace gpremap {

class AgentMemory : public CallerMemory {
  public:
    // Gives it to `vm`, zeroed, as its slot 0, with `kernel_size` bytes more. Throws std::system_error.
    explicit AgentMemory(Vm& vm, uint64_t kernel_size = 0);
    // No vCPU may run any more.
    ~AgentMemory() override;
    AgentMemory(const AgentMemory&) = delete;
    AgentMemory& operator=(const AgentMemory&) = delete;

    // From abi::agent_base.
    std::span<std::byte> bytes() { return bytes_; }
    bool contains(uint64_t gpa) const;
    // Null where any of it is elsewhere.
    std::byte* find(uint64_t gpa, std::size_t size);

    [[nodiscard]] bool read(uint64_t gpa, void* to, std::size_t size) const override;
    [[nodiscard]] bool write(uint64_t gpa, const void* from, std::size_t size) override;

  private:
    bool holds(uint64_t gpa, std::size_t size) const;

    std::span<std::byte> bytes_;
};

}  // namespace gpremap
