// What a kernel finds when it begins: boot parameters, a map of memory, tables for its first instructions.
//
//     0x00500  GDT
//     0x07000  boot parameters
//     0x09000  page tables, which map the first GiB 1:1
//     0x20000  command line
//     0x9fc00  end of what is RAM below 1 MiB
//     0xe0000  ACPI tables
//     then the agent's memory (abi/linux.h), and behind it the kernel; at the end of memory the initramfs
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "vmm/guests/linux/kernel_image.h"
#include "vmm/kvm/kvm.h"

namespace gpremap {

struct BootFiles {
    std::string_view initramfs;
    std::string_view command_line;
};

// The longest command line that every kernel takes, in bytes.
inline constexpr std::size_t longest_command_line = 2047;

// Writes all but the ACPI tables into `memory`, which begins at guest-physical address 0 and is all that the kernel
// gets. Throws ConfigError where there is no room.
void write_boot_data(std::span<std::byte> memory, const LoadedKernel& kernel, const BootFiles& files,
                     uint64_t acpi_tables);

// The state in which the first vCPU enters the kernel: 64-bit, ring 0. `current` gives what is not ours to set.
kvm_sregs boot_special_registers(const kvm_sregs& current);
kvm_regs boot_registers(const LoadedKernel& kernel);

}  // namespace gpremap
