// The ACPI tables of the VM: processors, interrupt controllers and a serial port; no other hardware.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace gpremap {

inline constexpr uint64_t acpi_tables_address = 0xe0000;  // of the root pointer, guest-physical
inline constexpr uint32_t serial_line = 4;                // of the I/O APIC
inline constexpr uint16_t serial_port_base = 0x3f8;

// Writes them into `memory`, which begins at guest-physical address 0. ACPI 6.0, "hardware-reduced".
void write_acpi_tables(std::span<std::byte> memory, unsigned vcpus);

}  // namespace gpremap
