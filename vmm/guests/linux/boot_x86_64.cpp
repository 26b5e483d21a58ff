#include "vmm/guests/linux/boot_x86_64.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "guest/abi/agent.h"
#include "vmm/base/errors.h"

namespace gpremap {
namespace {

constexpr uint64_t gdt = 0x500, boot_parameters = 0x7000, page_tables = 0x9000, command_line = 0x20000;
constexpr uint64_t low_ram_end = 0x9fc00;
constexpr uint64_t page = 4096, large_page = 2ull << 20;

void put(std::span<std::byte> memory, uint64_t at, const void* data, std::size_t size) {
    std::memcpy(memory.data() + at, data, size);
}

template <typename T>
void put(std::span<std::byte> memory, uint64_t at, const T& value) {
    put(memory, at, &value, sizeof value);
}

// ---- the map of memory ----

struct [[gnu::packed]] MapEntry {
    uint64_t at;
    uint64_t size;
    uint32_t type;
};
constexpr uint32_t ram = 1, reserved = 2;

std::array<MapEntry, 3> memory_map(uint64_t memory_size) {
    constexpr uint64_t kernel_begin = abi::agent_base + abi::agent_size;
    return {{{0, low_ram_end, ram},
             {low_ram_end, kernel_begin - low_ram_end, reserved},
             {kernel_begin, memory_size - kernel_begin, ram}}};
}

// ---- boot parameters ----

// At the end of memory, and below what the kernel can take. Returns where.
uint64_t put_initramfs(std::span<std::byte> memory, const LoadedKernel& kernel, std::string_view initramfs) {
    constexpr uint64_t highest = 0x7fffffff;
    const uint64_t end = std::min<uint64_t>(memory.size(), highest) / page * page;
    if (end < kernel.end || end - kernel.end < initramfs.size() + page)
        throw ConfigError(fmt::format(
            "linux.memory is too small: kernel and initramfs need {} MiB, and there is no room for both",
            (kernel.end - abi::agent_size + initramfs.size()) >> 20));
    const uint64_t at = (end - initramfs.size()) / page * page;
    put(memory, at, initramfs.data(), initramfs.size());
    return at;
}

// The setup header of a kernel that comes without one.
void put_plain_header(std::span<std::byte> memory) {
    put(memory, boot_parameters + 0x1fe, uint16_t{0xaa55});
    put(memory, boot_parameters + 0x202, uint32_t{0x53726448});
    put(memory, boot_parameters + 0x206, uint16_t{0x20c});
    put(memory, boot_parameters + 0x230, uint32_t{large_page});
    put(memory, boot_parameters + 0x238, uint32_t{longest_command_line});
}

void put_boot_parameters(std::span<std::byte> memory, const LoadedKernel& kernel, const BootFiles& files,
                         uint64_t acpi_tables) {
    if (kernel.setup.empty())
        put_plain_header(memory);
    else
        put(memory, boot_parameters + LoadedKernel::setup_header, kernel.setup.data(),
            std::min<std::size_t>(kernel.setup.size(), 0x290 - LoadedKernel::setup_header));
    const auto initramfs = static_cast<uint32_t>(put_initramfs(memory, kernel, files.initramfs));
    put(memory, boot_parameters + 0x070, acpi_tables);
    put(memory, boot_parameters + 0x1fa, uint16_t{0xffff});  // video mode: as it is
    put(memory, boot_parameters + 0x210, uint8_t{0xff});     // a loader that has no number
    put(memory, boot_parameters + 0x211, uint8_t{1});        // the kernel lies high
    put(memory, boot_parameters + 0x218, initramfs);
    put(memory, boot_parameters + 0x21c, static_cast<uint32_t>(files.initramfs.size()));
    put(memory, boot_parameters + 0x228, static_cast<uint32_t>(command_line));
    const auto map = memory_map(memory.size());
    put(memory, boot_parameters + 0x1e8, static_cast<uint8_t>(map.size()));
    put(memory, boot_parameters + 0x2d0, map.data(), sizeof map);
    put(memory, command_line, files.command_line.data(), files.command_line.size());
}

// ---- tables ----

void put_page_tables(std::span<std::byte> memory) {
    constexpr uint64_t present = 1, writable = 2, large = 0x80;
    put(memory, page_tables, (page_tables + page) | present | writable);
    put(memory, page_tables + page, (page_tables + 2 * page) | present | writable);
    for (uint64_t i = 0; i < 512; i++)
        put(memory, page_tables + 2 * page + i * 8, (i * large_page) | present | writable | large);
}

constexpr uint16_t code_selector = 0x10, data_selector = 0x18;
constexpr std::array<uint64_t, 4> descriptors = {0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff};

kvm_segment segment(uint16_t selector, uint8_t type, bool code) {
    kvm_segment result = {};
    result.limit = 0xffffffff;
    result.selector = selector;
    result.type = type;
    result.present = 1;
    result.s = 1;
    result.l = code;
    result.db = !code;
    result.g = 1;
    return result;
}

}  // namespace

void write_boot_data(std::span<std::byte> memory, const LoadedKernel& kernel, const BootFiles& files,
                     uint64_t acpi_tables) {
    if (files.command_line.size() > longest_command_line)
        throw ConfigError(fmt::format("linux.append: the command line has {} bytes, expected at most {}",
                                      files.command_line.size(), longest_command_line));
    put_boot_parameters(memory, kernel, files, acpi_tables);
    put_page_tables(memory);
    put(memory, gdt, descriptors.data(), sizeof descriptors);
}

kvm_sregs boot_special_registers(const kvm_sregs& current) {
    constexpr uint8_t execute_read_accessed = 11, read_write_accessed = 3;
    constexpr uint64_t cr0_pe = 1, cr0_et = 0x10, cr0_ne = 0x20, cr0_pg = 1ull << 31;
    constexpr uint64_t cr4_pae = 0x20, efer_lme = 0x100, efer_lma = 0x400;
    kvm_sregs sregs = current;
    sregs.cs = segment(code_selector, execute_read_accessed, true);
    sregs.ds = segment(data_selector, read_write_accessed, false);
    sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
    sregs.gdt.base = gdt;
    sregs.gdt.limit = sizeof descriptors - 1;
    sregs.cr0 = cr0_pe | cr0_et | cr0_ne | cr0_pg;
    sregs.cr3 = page_tables;
    sregs.cr4 = cr4_pae;
    sregs.efer = efer_lme | efer_lma;
    return sregs;
}

kvm_regs boot_registers(const LoadedKernel& kernel) {
    kvm_regs regs = {};
    regs.rip = kernel.entry;
    regs.rsi = boot_parameters;
    regs.rflags = 2;
    return regs;
}

}  // namespace gpremap
