#include <array>
#include <cstring>
#include <vector>

#include "vmm/guests/agent/world.h"

namespace gpremap {
namespace {

using layout::page;
using namespace stage1;

// ---- page tables ----

// Accessed and dirty are set from the start: the processor then never writes the tables, which under
// shadow paging would be an exit each.
constexpr uint64_t present = 1, write = 2, ring3 = 4, accessed = 0x20, dirty = 0x40, large = 0x80;
constexpr uint64_t no_execute = 1ull << 63;
constexpr uint64_t any_table = present | write | ring3 | accessed;
constexpr uint64_t any_leaf = present | accessed | dirty;

// ---- descriptor tables ----

constexpr uint16_t ring0_code = 0x08, ring3_data = 0x1b, ring3_code = 0x23, first_tss = 0x30;

// Present, code or data, accessed already: the processor never writes the GDT.
constexpr uint64_t descriptor(unsigned type, unsigned ring, bool long_mode) {
    constexpr uint64_t code_or_data = 1ull << 44, is_present = 1ull << 47, limit = 0x000f00000000ffff;
    constexpr uint64_t granularity = 1ull << 55, size32 = 1ull << 54, size64 = 1ull << 53;
    return limit | code_or_data | is_present | granularity | (long_mode ? size64 : size32) |
           static_cast<uint64_t>(type | 1) << 40 | static_cast<uint64_t>(ring) << 45;
}

constexpr unsigned type_data = 2, type_code = 10, type_tss_busy = 11, type_interrupt_gate = 14;
// 0x68 bytes of TSS, 8 KiB of permission bits for all ports, one byte of ones that must follow.
constexpr uint32_t tss_limit = 0x68 + 0x2000;

uint64_t tss_address(unsigned vcpu) {
    return layout::block(vcpu) + layout::tss_in_block;
}

std::vector<uint64_t> make_gdt() {
    std::vector<uint64_t> gdt = {0,
                                 descriptor(type_code, 0, true),
                                 descriptor(type_data, 0, false),
                                 descriptor(type_data, 3, false),
                                 descriptor(type_code, 3, true),
                                 0};
    for (unsigned vcpu = 0; vcpu < abi::max_vcpus; vcpu++) {
        uint64_t base = tss_address(vcpu);
        constexpr uint64_t is_present = 1ull << 47;
        gdt.push_back((tss_limit & 0xffff) | (base & 0xffffff) << 16 |
                      static_cast<uint64_t>(type_tss_busy) << 40 | is_present | (base >> 24 & 0xff) << 56);
        gdt.push_back(base >> 32);
    }
    return gdt;
}

// One stub a vector: pushes a zero where the processor pushes no error code, then rax, then tells the
// VMM the vector. The VMM never lets it go on.
struct Stub {
    std::array<uint8_t, 16> code;
};
constexpr unsigned vectors = 32;

constexpr bool has_error_code(unsigned vector) {
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 ||
           vector == 30;
}

Stub make_stub(unsigned vector) {
    constexpr uint8_t nop = 0x90, push_imm8 = 0x6a, push_rax = 0x50, mov_eax_imm32 = 0xb8,
                      out_imm8_eax = 0xe7;
    Stub stub = {{nop, nop, push_rax, mov_eax_imm32, static_cast<uint8_t>(vector), 0, 0, 0, out_imm8_eax,
                  static_cast<uint8_t>(abi::exception_port), 0xf4, nop, nop, nop, nop, nop}};
    if (!has_error_code(vector)) {
        stub.code[0] = push_imm8;
        stub.code[1] = 0;
    }
    return stub;
}

struct Gate {
    uint64_t low, high;
};

Gate make_gate(unsigned vector) {
    constexpr uint64_t is_present = 1ull << 47;
    uint64_t handler = layout::stubs + vector * sizeof(Stub);
    return {(handler & 0xffff) | static_cast<uint64_t>(ring0_code) << 16 |
                static_cast<uint64_t>(type_interrupt_gate) << 40 | is_present |
                (handler >> 16 & 0xffff) << 48,
            handler >> 32};
}

void put(std::span<std::byte> memory, uint64_t at, const void* data, std::size_t size) {
    std::memcpy(memory.data() + (at - abi::agent_base), data, size);
}

void write_descriptor_tables(std::span<std::byte> memory) {
    std::vector<uint64_t> gdt = make_gdt();
    put(memory, layout::gdt, gdt.data(), gdt.size() * sizeof gdt[0]);
    for (unsigned vector = 0; vector < vectors; vector++) {
        Gate gate = make_gate(vector);
        Stub stub = make_stub(vector);
        put(memory, layout::idt + vector * sizeof gate, &gate, sizeof gate);
        put(memory, layout::stubs + vector * sizeof stub, &stub, sizeof stub);
    }
}

void write_tss(std::span<std::byte> memory, unsigned vcpu) {
    constexpr uint64_t rsp0_offset = 4, map_base_offset = 102;
    constexpr uint16_t map_base = 0x68;
    constexpr uint8_t end_of_map = 0xff;
    uint64_t tss = tss_address(vcpu);
    uint64_t rsp0 = layout::block(vcpu) + layout::ring0_stack_in_block + page;
    put(memory, tss + rsp0_offset, &rsp0, sizeof rsp0);
    put(memory, tss + map_base_offset, &map_base, sizeof map_base);
    put(memory, tss + tss_limit, &end_of_map, sizeof end_of_map);
}

kvm_segment segment(uint16_t selector, unsigned type, unsigned ring, bool long_mode) {
    kvm_segment result = {};
    result.limit = 0xffffffff;
    result.selector = selector;
    result.type = static_cast<uint8_t>(type | 1);
    result.present = 1;
    result.dpl = static_cast<uint8_t>(ring);
    result.db = !long_mode;
    result.s = 1;
    result.l = long_mode;
    result.g = 1;
    return result;
}

}  // namespace

uint64_t leaf_entry(uint64_t at, uint64_t leaf_size, unsigned rights) {
    return at | any_leaf | (leaf_size == page ? 0 : large) | (rights & user ? ring3 : 0) |
           (rights & writable ? write : 0) | (rights & executable ? 0 : no_execute);
}

uint64_t table_entry(uint64_t at) {
    return at | any_table;
}

std::vector<ExceptionPages> pages_of_exceptions() {
    std::vector<ExceptionPages> all = {{layout::gdt, 2 * page, 0}, {layout::stubs, page, executable}};
    for (unsigned vcpu = 0; vcpu < abi::max_vcpus; vcpu++) {
        all.push_back({layout::block(vcpu) + layout::ring0_stack_in_block, page, writable});
        all.push_back({tss_address(vcpu), layout::tss_pages * page, writable});
    }
    return all;
}

void write_exceptions(std::span<std::byte> memory) {
    write_descriptor_tables(memory);
    for (unsigned vcpu = 0; vcpu < abi::max_vcpus; vcpu++) write_tss(memory, vcpu);
}

kvm_regs entry_registers(unsigned vcpu, uint64_t entry) {
    constexpr uint64_t always_one = 2, io_privilege_ring3 = 3 << 12;
    kvm_regs regs = {};
    regs.rip = entry;
    regs.rsp = layout::stack_top(vcpu);
    regs.rflags = always_one | io_privilege_ring3;
    regs.rdi = vcpu;
    regs.rsi = layout::mailbox(vcpu);
    regs.rdx = layout::tables_block;
    return regs;
}

// Both ways of permitting `out` in ring 3 are set, IOPL 3 and the permission bitmap of the TSS: PVM
// honours only the bitmap, QEMU's emulated SVM only IOPL.
SpecialRegisters user_state(unsigned vcpu, const SpecialRegisters& current) {
    constexpr uint64_t cr0_pe = 1, cr0_mp = 2, cr0_et = 0x10, cr0_ne = 0x20, cr0_wp = 0x10000,
                       cr0_pg = 1ull << 31;
    constexpr uint64_t cr4_pae = 0x20, cr4_osfxsr = 0x200, cr4_osxmmexcpt = 0x400;  // SSE may be used
    constexpr uint64_t efer_lme = 0x100, efer_lma = 0x400, efer_nxe = 0x800;
    kvm_sregs sregs = current;
    sregs.cs = segment(ring3_code, type_code, 3, true);
    sregs.ss = segment(ring3_data, type_data, 3, false);
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss;
    sregs.ldt = {};
    sregs.ldt.unusable = 1;

    sregs.tr = {};
    sregs.tr.base = tss_address(vcpu);
    sregs.tr.limit = tss_limit;
    sregs.tr.selector = static_cast<uint16_t>(first_tss + vcpu * 16);
    sregs.tr.type = type_tss_busy;
    sregs.tr.present = 1;

    sregs.gdt.base = layout::gdt;
    sregs.gdt.limit = static_cast<uint16_t>(first_tss + abi::max_vcpus * 16 - 1);
    sregs.idt.base = layout::idt;
    sregs.idt.limit = vectors * sizeof(Gate) - 1;

    sregs.cr0 = cr0_pe | cr0_mp | cr0_et | cr0_ne | cr0_wp | cr0_pg;
    sregs.cr3 = layout::page_tables;
    sregs.cr4 = cr4_pae | cr4_osfxsr | cr4_osxmmexcpt;
    sregs.efer = efer_lme | efer_lma | efer_nxe;
    return sregs;
}

}  // namespace gpremap
