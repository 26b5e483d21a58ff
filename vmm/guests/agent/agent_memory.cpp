#include "vmm/guests/agent/agent_memory.h"

#include <sys/mman.h>

#include <cstring>

#include "guest/abi/agent.h"

namespace gpremap {
namespace {

constexpr uint32_t slot = 0;
static_assert(slot < Vm::guest_slots);

std::span<std::byte> map_memory(std::size_t size) {
    void* memory =
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw_errno("mapping the guest's own memory");
    return {static_cast<std::byte*>(memory), size};
}

}  // namespace

AgentMemory::AgentMemory(Vm& vm, uint64_t kernel_size) : bytes_(map_memory(abi::agent_size + kernel_size)) {
    // Without huge pages a kernel is only slower.
    if (kernel_size > 0) madvise(bytes_.data() + abi::agent_size, kernel_size, MADV_HUGEPAGE);
    try {
        vm.set_memory(slot, abi::agent_base, bytes_.size(), bytes_.data(), 0);
    } catch (...) {
        munmap(bytes_.data(), bytes_.size());
        throw;
    }
}

AgentMemory::~AgentMemory() {
    munmap(bytes_.data(), bytes_.size());
}

bool AgentMemory::contains(uint64_t gpa) const {
    return gpa - abi::agent_base < bytes_.size();
}

bool AgentMemory::holds(uint64_t gpa, std::size_t size) const {
    return contains(gpa) && bytes_.size() - (gpa - abi::agent_base) >= size;
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
