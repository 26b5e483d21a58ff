#include "vmm/guests/linux/acpi_tables.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <numeric>
#include <string_view>
#include <vector>

namespace gpremap {
namespace {

constexpr uint32_t local_apic = 0xfee00000, io_apic = 0xfec00000;
constexpr std::size_t header_size = 36;

using Bytes = std::vector<uint8_t>;

template <typename T>
void put(Bytes& table, std::size_t at, const T& value) {
    std::memcpy(table.data() + at, &value, sizeof value);
}

void append(Bytes& to, std::initializer_list<uint8_t> bytes) {
    to.insert(to.end(), bytes);
}

void append(Bytes& to, std::string_view text) {
    std::ranges::copy(text, std::back_inserter(to));
}

void append(Bytes& to, const Bytes& bytes) {
    std::ranges::copy(bytes, std::back_inserter(to));
}

template <typename T>
void append_value(Bytes& to, const T& value) {
    to.resize(to.size() + sizeof value);
    put(to, to.size() - sizeof value, value);
}

// All bytes of what it covers sum up to 0.
uint8_t checksum(std::span<const uint8_t> bytes) {
    return static_cast<uint8_t>(-std::accumulate(bytes.begin(), bytes.end(), 0u));
}

Bytes table(std::string_view signature, uint8_t revision) {
    Bytes made(header_size);
    std::memcpy(made.data(), signature.data(), 4);
    made[8] = revision;
    std::memcpy(made.data() + 10, "GPRMAPGPREMAP ", 14);  // who made it, and for which machine
    put(made, 24, uint32_t{1});
    std::memcpy(made.data() + 28, "GPRM", 4);
    put(made, 32, uint32_t{1});
    return made;
}

void finish(Bytes& table) {
    put(table, 4, static_cast<uint32_t>(table.size()));
    table[9] = checksum(table);
}

// Which processors and interrupt controllers there are.
Bytes make_madt(unsigned vcpus) {
    Bytes madt = table("APIC", 5);
    append_value(madt, local_apic);
    append_value(madt, uint32_t{0});  // no 8259 besides
    for (unsigned vcpu = 0; vcpu < vcpus; vcpu++) {
        const auto id = static_cast<uint8_t>(vcpu);
        append(madt, {0, 8, id, id, 1, 0, 0, 0});  // a local APIC, enabled
    }
    append(madt, {1, 12, 0, 0});  // the I/O APIC
    append_value(madt, io_apic);
    append_value(madt, uint32_t{0});  // its first interrupt
    finish(madt);
    return madt;
}

Bytes make_fadt(uint64_t dsdt) {
    constexpr uint32_t reset_register = 1u << 10, hardware_reduced = 1u << 20;
    // VGA, PCIe ASPM and the CMOS clock are not there: nobody is to look for them.
    constexpr uint16_t nothing_legacy = 1u << 2 | 1u << 4 | 1u << 5;
    Bytes fadt = table("FACP", 6);
    fadt.resize(276);
    put(fadt, 109, nothing_legacy);
    put(fadt, 112, reset_register | hardware_reduced);
    fadt[116] = 1;  // the reset register: a port,
    fadt[117] = 8;  // of 8 bits
    put(fadt, 120, uint64_t{0x64});
    fadt[128] = 0xfe;
    put(fadt, 140, dsdt);
    finish(fadt);
    return fadt;
}

// ---- AML: the language in which a DSDT describes devices ----

// `contents` with its length in front, which counts itself.
Bytes package(const Bytes& contents) {
    const std::size_t size = contents.size() + 2;  // in two bytes: up to 4095
    Bytes whole = {static_cast<uint8_t>(0x40 | (size & 0xf)), static_cast<uint8_t>(size >> 4)};
    append(whole, contents);
    return whole;
}

Bytes name(std::string_view four, const Bytes& value) {
    Bytes whole = {0x08};
    append(whole, four);
    append(whole, value);
    return whole;
}

// Ports and interrupt of the serial port.
Bytes serial_resources() {
    Bytes list = {0x47, 1};  // ports, decoded with 16 bits: lowest and highest place, alignment, how many
    append_value(list, serial_port_base);
    append_value(list, serial_port_base);
    append(list, {1, 8});
    append(list, {0x89, 6, 0, 3, 1});  // an interrupt of the device: edge, active high
    append_value(list, serial_line);
    append(list, {0x79, 0});  // the end; 0 is right for every list
    Bytes buffer = {0x0a, static_cast<uint8_t>(list.size())};
    append(buffer, list);
    Bytes whole = {0x11};
    append(whole, package(buffer));
    return whole;
}

Bytes make_dsdt() {
    Bytes device;
    append(device, "COM1");
    append(device, name("_HID", {0x0c, 0x41, 0xd0, 0x05, 0x01}));  // PNP0501, a 16550
    append(device, name("_UID", {0x01}));
    append(device, name("_CRS", serial_resources()));
    Bytes scope;
    append(scope, "\\_SB_");
    append(scope, {0x5b, 0x82});
    append(scope, package(device));
    Bytes dsdt = table("DSDT", 2);
    append(dsdt, {0x10});
    append(dsdt, package(scope));
    finish(dsdt);
    return dsdt;
}

Bytes make_xsdt(std::initializer_list<uint64_t> tables) {
    Bytes xsdt = table("XSDT", 1);
    for (uint64_t each : tables) append_value(xsdt, each);
    finish(xsdt);
    return xsdt;
}

Bytes make_root(uint64_t xsdt) {
    constexpr std::size_t size = 36, first_part = 20;
    Bytes root(size);
    std::memcpy(root.data(), "RSD PTR ", 8);
    std::memcpy(root.data() + 9, "GPRMAP", 6);
    root[15] = 2;
    put(root, 20, static_cast<uint32_t>(size));
    put(root, 24, xsdt);
    root[8] = checksum(std::span(root).first(first_part));
    root[32] = checksum(root);
    return root;
}

}  // namespace

void write_acpi_tables(std::span<std::byte> memory, unsigned vcpus) {
    uint64_t next = acpi_tables_address + 64;  // behind the root
    auto place = [&](const Bytes& table) {
        const uint64_t at = next;
        std::memcpy(memory.data() + at, table.data(), table.size());
        next = (at + table.size() + 15) / 16 * 16;
        return at;
    };
    const uint64_t dsdt = place(make_dsdt());
    const uint64_t fadt = place(make_fadt(dsdt));
    const uint64_t madt = place(make_madt(vcpus));
    const Bytes root = make_root(place(make_xsdt({fadt, madt})));
    std::memcpy(memory.data() + acpi_tables_address, root.data(), root.size());
}

}  // namespace gpremap
