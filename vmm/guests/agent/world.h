// The agent's world, as the VMM lays it out: page tables, what exceptions need, and the state that puts a vCPU straight
// into 64-bit ring 3, or EL0.
//
//     0x0010'0000  the agent's image (abi::image_base), mapped as its ELF segments say
//     0x0040'0000  GDT, IDT, stubs or vectors, empty table, abi::Tables, spare tables    (a page each)
//     0x0041'0000  one block a vCPU: mailbox, stack, ring 0 stack, TSS; unmapped pages between
//     0x0051'0000  shared pages: what the arguments of a step point to
//     0x0052'0000  one buffer a vCPU: batches and extents of queries (orders.h), for the VMM's eyes only
//     0x005a'0000  one ring a vCPU
//     0x0060'0000  page tables
//     0x0200'0000  the count of calls (abi/workload.h), and from 0x0220'0000 on the area of each vCPU's workload
//     0x0400'0000  a program of the user's for each vCPU
//
// GDT, IDT, ring 0 stack and TSS are x86-64's; on aarch64 there is a doorbell (abi/aarch64.h).
//
// What is not listed is not mapped; ring 3 reaches the image, mailboxes, stacks, shared pages, rings, page tables and all
// behind them. Programs may be written and executed: they are loaded after the tables are made, and harm only
// themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/kvm/kvm.h"

namespace gpremap {

namespace layout {
inline constexpr uint64_t page = 4096;
inline constexpr uint64_t gdt = abi::image_limit;
inline constexpr uint64_t idt = gdt + page;
inline constexpr uint64_t stubs = idt + page;
inline constexpr uint64_t empty_table = stubs + page;  // a PML4 that maps nothing
inline constexpr uint64_t tables_block = empty_table + page;
inline constexpr uint64_t spare_tables = tables_block + page;

inline constexpr uint64_t vcpu_blocks = gdt + 0x10000;
inline constexpr uint64_t vcpu_block = 0x20000;
inline constexpr uint64_t mailbox_in_block = 0;
inline constexpr uint64_t stack_in_block = 0x2000;
inline constexpr uint64_t stack_size = 0x10000;
inline constexpr uint64_t ring0_stack_in_block = 0x13000;
inline constexpr uint64_t tss_in_block = 0x14000;
inline constexpr uint64_t tss_pages = 3;

inline constexpr uint64_t shared = vcpu_blocks + abi::max_vcpus * vcpu_block;
inline constexpr uint64_t shared_size = 0x10000;

inline constexpr uint64_t order_buffers = shared + shared_size;
inline constexpr uint64_t order_buffer_size = 0x10000;

inline constexpr uint64_t page_tables = abi::agent_base + (6ull << 20);
inline constexpr uint64_t page_tables_end = GPREMAP_CALLS_ADDRESS;
inline constexpr uint64_t workloads_end = GPREMAP_WORKLOADS + abi::max_vcpus * GPREMAP_AREA_SIZE;
inline constexpr uint64_t programs_end = GPREMAP_PROGRAMS + abi::max_vcpus * GPREMAP_PROGRAM_SIZE;
static_assert(workloads_end <= GPREMAP_PROGRAMS && programs_end <= abi::agent_base + abi::agent_size);

constexpr uint64_t block(unsigned vcpu) {
    return vcpu_blocks + vcpu * vcpu_block;
}
constexpr uint64_t mailbox(unsigned vcpu) {
    return block(vcpu) + mailbox_in_block;
}
constexpr uint64_t stack_top(unsigned vcpu) {
    return block(vcpu) + stack_in_block + stack_size;
}
constexpr uint64_t order_buffer(unsigned vcpu) {
    return order_buffers + vcpu * order_buffer_size;
}
static_assert(order_buffer(abi::max_vcpus) <= abi::rings);
static_assert(abi::rings + abi::max_vcpus * abi::ring_stride <= page_tables);
}  // namespace layout

struct Aperture {
    uint64_t base;  // bytes, a multiple of 2 MiB
    uint64_t size;  // bytes, a multiple of 2 MiB
};

// Builds descriptor tables, stubs and page tables in `memory` (the agent's, from abi::agent_base) and
// loads the agent's image into it. Returns the entry point.
// Throws ConfigError for an aperture that cannot be, HostLacks for one that this host cannot map.
uint64_t build_agent_world(std::span<std::byte> memory, const Aperture& aperture,
                           const KvmCapabilities& capabilities);

// The registers of `vcpu` at an entry point of the agent (abi/agent.h: how a vCPU starts).
kvm_regs entry_registers(unsigned vcpu, uint64_t entry);

// ---- world_<architecture>.cpp ----

// Paging on, at the lowest privilege: what an entry point needs of the rest. `current` gives what is not ours to set.
SpecialRegisters user_state(unsigned vcpu, const SpecialRegisters& current);

// The 1:1 tables have four levels of 512 entries, with leaves of 4 KiB, 2 MiB and 1 GiB, on every architecture.
namespace stage1 {
enum Rights : unsigned {
    user = 1,  // the agent's, and not only of what handles its exceptions
    writable = 2,
    executable = 4,
    device = 8,  // no memory
};
}
uint64_t leaf_entry(uint64_t at, uint64_t leaf_size, unsigned rights);
uint64_t table_entry(uint64_t at);

// What exceptions need: pages to be mapped, and what lies there.
struct ExceptionPages {
    uint64_t at;
    uint64_t size;  // bytes, whole pages
    unsigned rights;
};
std::vector<ExceptionPages> pages_of_exceptions();
void write_exceptions(std::span<std::byte> memory);

}  // namespace gpremap
