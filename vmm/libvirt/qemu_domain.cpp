#include "vmm/libvirt/qemu_domain.h"

#include <algorithm>

#include "vmm/libvirt/xml_writer.h"

namespace gpremap {

namespace {

using Backing = QemuDomain::MemoryBacking;

void write_size(XmlWriter& xml, const char* name, uint64_t bytes) {
    xml.element(name, {{"unit", "KiB"}}, std::to_string(bytes >> 10));
}

// What libvirt calls memory: boot memory and whatever the devices may hold.
uint64_t all_memory(const QemuDomain& domain) {
    uint64_t all = domain.boot_memory;
    for (const auto& dimm : domain.dimms) all += dimm.size;
    for (const auto& device : domain.virtio_mems) all += device.size;
    return all;
}

uint64_t current_memory(const QemuDomain& domain) {
    uint64_t plugged = 0;
    for (const auto& dimm : domain.dimms) plugged += dimm.size;
    for (const auto& device : domain.virtio_mems) plugged += device.requested;
    return domain.current_memory.value_or(domain.boot_memory + plugged);
}

void write_memory(XmlWriter& xml, const QemuDomain& domain) {
    if (domain.max_memory)
        xml.element("maxMemory", {{"slots", std::to_string(domain.max_memory->slots)}, {"unit", "KiB"}},
                    std::to_string(domain.max_memory->size >> 10));
    write_size(xml, "memory", all_memory(domain));
    write_size(xml, "currentMemory", current_memory(domain));
}

bool is_default(const Backing& backing) {
    return backing.source == Backing::Source::anonymous && !backing.stated && !backing.huge_page &&
           !backing.shared && !backing.locked && !backing.allocated_at_start;
}

void write_backing(XmlWriter& xml, const Backing& backing) {
    if (is_default(backing)) return;
    xml.element("memoryBacking", {}, [&] {
        if (backing.huge_page)
            xml.element("hugepages", {}, [&] {
                xml.element("page", {{"size", std::to_string(*backing.huge_page >> 10)}, {"unit", "KiB"}});
            });
        if (backing.locked) xml.element("locked");
        if (backing.source == Backing::Source::memfd) xml.element("source", {{"type", "memfd"}});
        if (backing.stated) xml.element("source", {{"type", "anonymous"}});
        if (backing.shared) xml.element("access", {{"mode", "shared"}});
        if (backing.allocated_at_start) xml.element("allocation", {{"mode", "immediate"}});
    });
}

void write_boot(XmlWriter& xml, const QemuDomain& domain) {
    xml.element("os", {}, [&] {
        xml.element("type", {{"arch", "x86_64"}, {"machine", domain.machine}}, "hvm");
        if (!domain.kernel.empty()) xml.element("kernel", {}, domain.kernel);
        if (!domain.initrd.empty()) xml.element("initrd", {}, domain.initrd);
        if (!domain.cmdline.empty()) xml.element("cmdline", {}, domain.cmdline);
    });
    // Without ACPI, a guest does not hear of memory that is plugged in.
    xml.element("features", {}, [&] { xml.element("acpi"); });
}

std::string cpus_of(unsigned first, unsigned count) {
    std::string cpus = std::to_string(first);
    return count > 1 ? cpus + "-" + std::to_string(first + count - 1) : cpus;
}

// The vCPUs are dealt out to the nodes in order; where there are fewer of them, the last nodes have none.
void write_nodes(XmlWriter& xml, const std::vector<uint64_t>& nodes, unsigned vcpus) {
    unsigned each = std::max(1u, vcpus / static_cast<unsigned>(nodes.size())), first = 0;
    for (size_t node = 0; node < nodes.size(); node++) {
        unsigned count = node + 1 == nodes.size() ? vcpus - first : std::min(each, vcpus - first);
        std::string size = std::to_string(nodes[node] >> 10);
        if (count == 0)
            xml.element("cell", {{"id", std::to_string(node)}, {"memory", size}, {"unit", "KiB"}});
        else
            xml.element("cell", {{"id", std::to_string(node)},
                                 {"cpus", cpus_of(first, count)},
                                 {"memory", size},
                                 {"unit", "KiB"}});
        first += count;
    }
}

void write_cpu(XmlWriter& xml, const QemuDomain& domain) {
    std::vector<uint64_t> nodes = domain.nodes;
    if (nodes.empty() && domain.max_memory) nodes = {domain.boot_memory};
    if (nodes.empty() && domain.cpu_mode.empty()) return;
    auto inside = [&] {
        if (!nodes.empty()) xml.element("numa", {}, [&] { write_nodes(xml, nodes, domain.vcpus); });
    };
    if (domain.cpu_mode.empty())
        xml.element("cpu", {}, inside);
    else
        xml.element("cpu", {{"mode", domain.cpu_mode}}, inside);
}

void write_virtio_mem(XmlWriter& xml, const QemuDomain::VirtioMem& device) {
    xml.element("memory", {{"model", "virtio-mem"}}, [&] {
        xml.element("target", {}, [&] {
            write_size(xml, "size", device.size);
            xml.element("node", {}, std::to_string(device.node));
            write_size(xml, "block", device.block);
            write_size(xml, "requested", device.requested);
        });
        if (!device.alias.empty()) xml.element("alias", {{"name", device.alias}});
        if (device.pci_slot)
            xml.element("address",
                        {{"type", "pci"}, {"bus", "0"}, {"slot", std::to_string(*device.pci_slot)}});
    });
}

void write_memory_devices(XmlWriter& xml, const QemuDomain& domain) {
    for (const auto& dimm : domain.dimms)
        xml.element("memory", {{"model", "dimm"}}, [&] {
            xml.element("target", {}, [&] {
                write_size(xml, "size", dimm.size);
                xml.element("node", {}, std::to_string(dimm.node));
            });
        });
    for (const auto& device : domain.virtio_mems) write_virtio_mem(xml, device);
}

void write_balloon(XmlWriter& xml, const std::optional<QemuDomain::Balloon>& balloon) {
    // Left out, QEMU would get one all the same.
    if (!balloon) return xml.element("memballoon", {{"model", "none"}});
    const char* reporting = balloon->free_page_reporting ? "on" : "off";
    xml.element("memballoon", {{"model", "virtio"}, {"freePageReporting", reporting}}, [&] {
        if (balloon->stats_period) xml.element("stats", {{"period", std::to_string(balloon->stats_period)}});
    });
}

void write_ports(XmlWriter& xml, const QemuDomain& domain) {
    if (!domain.serial_log.empty())
        xml.element("serial", {{"type", "file"}}, [&] {
            xml.element("source", {{"path", domain.serial_log}});
        });
    for (const auto& channel : domain.channels) {
        bool isa = channel.kind == QemuDomain::Channel::Kind::isa_serial;
        xml.element(isa ? "serial" : "channel", {{"type", "unix"}}, [&] {
            bool bind = channel.listener == QemuDomain::Channel::Listener::qemu;
            xml.element("source", {{"mode", bind ? "bind" : "connect"}, {"path", channel.socket}});
            if (!isa) xml.element("target", {{"type", "virtio"}, {"name", channel.name}});
        });
    }
}

void write_devices(XmlWriter& xml, const QemuDomain& domain) {
    if (!domain.emulator.empty()) xml.element("emulator", {}, domain.emulator);
    xml.element("controller", {{"type", "usb"}, {"model", "none"}});
    write_ports(xml, domain);
    write_balloon(xml, domain.balloon);
    write_memory_devices(xml, domain);
}

}  // namespace

std::string to_xml(const QemuDomain::VirtioMem& device) {
    XmlWriter xml;
    write_virtio_mem(xml, device);
    return xml.text();
}

std::string to_xml(const QemuDomain& domain) {
    XmlWriter xml;
    xml.element("domain", {{"type", domain.type == QemuDomain::Type::kvm ? "kvm" : "qemu"}}, [&] {
        xml.element("name", {}, domain.name);
        if (!domain.metadata.empty()) xml.element("metadata", {}, [&] { xml.raw(domain.metadata); });
        write_memory(xml, domain);
        write_backing(xml, domain.backing);
        xml.element("vcpu", {}, std::to_string(domain.vcpus));
        write_boot(xml, domain);
        write_cpu(xml, domain);
        xml.element("on_reboot", {}, "destroy");
        xml.element("on_crash", {}, "destroy");
        xml.element("devices", {}, [&] { write_devices(xml, domain); });
    });
    return xml.text();
}

}  // namespace gpremap
