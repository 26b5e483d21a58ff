#include <cstring>

#include "guest/abi/aarch64.h"
#include "vmm/guests/agent/world.h"

extern "C" const std::byte gpremap_agent_vectors[];
extern "C" const std::byte gpremap_agent_vectors_end[];

namespace gpremap {
namespace {

using layout::page;
using namespace stage1;

constexpr uint64_t valid = 1, table_or_page = 2;
// Kinds of memory, as places in MAIR.
constexpr uint64_t normal_memory = 0 << 2, device_memory = 1 << 2;
constexpr uint64_t el0 = 1 << 6, read_only = 1 << 7, inner_shareable = 3 << 8;
// Set from the start: else the first access is a fault.
constexpr uint64_t accessed = 1 << 10;
constexpr uint64_t no_execute_at_el1 = 1ull << 53, no_execute_at_el0 = 1ull << 54;

}  // namespace

// What EL0 reaches is not for EL1 to execute, and the other way round.
uint64_t leaf_entry(uint64_t at, uint64_t leaf_size, unsigned rights) {
    const bool is_user = rights & user, is_code = rights & executable;
    return at | valid | (leaf_size == page ? table_or_page : 0) | accessed |
           (rights & device ? device_memory : normal_memory | inner_shareable) | (is_user ? el0 : 0) |
           (rights & writable ? 0 : read_only) | (is_user && is_code ? 0 : no_execute_at_el0) |
           (!is_user && is_code ? 0 : no_execute_at_el1);
}

uint64_t table_entry(uint64_t at) {
    return at | valid | table_or_page;
}

std::vector<ExceptionPages> pages_of_exceptions() {
    return {{layout::stubs, page, executable}, {GPREMAP_DOORBELL, page, user | writable | device}};
}

void write_exceptions(std::span<std::byte> memory) {
    const auto size = static_cast<std::size_t>(gpremap_agent_vectors_end - gpremap_agent_vectors);
    std::memcpy(memory.data() + (layout::stubs - abi::agent_base), gpremap_agent_vectors, size);
}

kvm_regs entry_registers(unsigned vcpu, uint64_t entry) {
    constexpr uint64_t el0_with_interrupts_masked = 0x3c0;
    kvm_regs regs = {};
    regs.regs.regs[0] = vcpu;
    regs.regs.regs[1] = layout::mailbox(vcpu);
    regs.regs.regs[2] = layout::tables_block;
    regs.regs.sp = layout::stack_top(vcpu);
    regs.regs.pc = entry;
    regs.regs.pstate = el0_with_interrupts_masked;
    return regs;
}

SpecialRegisters user_state(unsigned, const SpecialRegisters& current) {
    constexpr uint64_t always_one = 0x30d00800, mmu = 1, data_cache = 1 << 2, instruction_cache = 1 << 12;
    constexpr uint64_t el0_may_zero_blocks = 1 << 14, el0_may_read_cache_type = 1 << 15,
                       el0_may_wait = 5 << 16, el0_may_maintain_caches = 1 << 26;
    constexpr uint64_t address_bits_48 = 16, cached_walks = 5 << 8 | 3 << 12, no_upper_half = 1 << 23,
                       physical_bits_48 = 5ull << 32;
    SpecialRegisters special = current;
    special.sctlr = always_one | mmu | data_cache | instruction_cache | el0_may_zero_blocks |
                    el0_may_read_cache_type | el0_may_wait | el0_may_maintain_caches;
    special.cpacr = 3 << 20;
    special.ttbr0 = layout::page_tables;
    special.tcr = address_bits_48 | cached_walks | no_upper_half | physical_bits_48;
    special.mair = 0x00ff;  // [0] write-back memory, [1] device memory of the strictest kind
    special.vbar = layout::stubs;
    special.cntkctl = 1 << 1;  // EL0 reads the virtual counter
    return special;
}

}  // namespace gpremap
