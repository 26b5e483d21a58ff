#include "vmm/guests/agent/agent_memory.h"

#include <sys/mman.h>

#include <cstring>

#include "guest/abi/agent.h"

namespace gpremap {
namespace {

constexpr uint32_t slot = 0;
static_assert(slot < Vm::guest_slots);

std::span<std::byte> map_memory() {
    void* memory = mmap(nullptr, abi::agent_size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw_errno("mapping the agent's memory");
    return {static_cast<std::byte*>(memory), abi::agent_size};
}

bool holds(uint64_t gpa, std::size_t size) {
    return AgentMemory::contains(gpa) && abi::agent_size - (gpa - abi::agent_base) >= size;
}

}  // namespace

AgentMemory::AgentMemory(Vm& vm) : bytes_(map_memory()) {
    try {
        vm.set_memory(slot, abi::agent_base, abi::agent_size, bytes_.data(), 0);
    } catch (...) {
        munmap(bytes_.data(), bytes_.size());
        throw;
    }
}

AgentMemory::~AgentMemory() {
    munmap(bytes_.data(), bytes_.size());
}

bool AgentMemory::contains(uint64_t gpa) {
    return gpa - abi::agent_base < abi::agent_size;
}

std::byte* AgentMemory::find(uint64_t gpa, std::size_t size) {
    return holds(gpa, size) ? bytes_.data() + (gpa - abi::agent_base) : nullptr;
}

bool AgentMemory::read(uint64_t gpa, void* to, std::size_t size) const {
    if (!holds(gpa, size)) return false;
    if (size > 0) std::memcpy(to, bytes_.data() + (gpa - abi::agent_base), size);
    return true;
}

bool AgentMemory::write(uint64_t gpa, const void* from, std::size_t size) {
    if (!holds(gpa, size)) return false;
    if (size > 0) std::memcpy(bytes_.data() + (gpa - abi::agent_base), from, size);
    return true;
}

}  // namespace gpremap
