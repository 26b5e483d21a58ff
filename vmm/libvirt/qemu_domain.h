// A QEMU guest in plain words, and the domain XML that libvirt makes it of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gpremap {

struct QemuDomain {
    enum class Type { kvm, qemu };  // qemu: every instruction is emulated (TCG)

    // Memory that can grow while the guest runs. Needs an address space with room, and slots for DIMMs.
    struct MaxMemory {
        uint64_t size = 0;  // bytes: boot memory and all devices
        unsigned slots = 16;
    };

    struct Dimm {
        uint64_t size = 0;  // bytes
        unsigned node = 0;
    };
    struct VirtioMem {
        uint64_t size = 0;            // bytes: the most that it can give
        uint64_t block = 2ull << 20;  // bytes: the unit in which it gives and takes
        uint64_t requested = 0;       // bytes: what it is asked to give
        unsigned node = 0;
        // How an update finds it again; nothing: libvirt's choice.
        std::optional<unsigned> pci_slot = {};  // on bus 0
        std::string alias = {};                 // begins with "ua-", as libvirt wants of a name of ours
    };

    struct Balloon {
        unsigned stats_period = 0;  // seconds between the guest's own statistics; 0: none
        bool free_page_reporting = false;
    };

    struct MemoryBacking {
        enum class Source { anonymous, memfd };
        Source source = Source::anonymous;
        bool stated = false;                // anonymous in so many words, and not libvirt's choice
        std::optional<uint64_t> huge_page;  // bytes of one; nothing: small pages
        bool shared = false;
        bool locked = false;
        bool allocated_at_start = false;
    };

    // Bytes between host and guest, on a socket of the host.
    struct Channel {
        enum class Kind { isa_serial, virtio_serial };
        enum class Listener { qemu, peer };  // who makes the socket; the other connects
        Kind kind = Kind::isa_serial;
        std::string socket;  // path
        std::string name;    // virtio_serial: as the guest sees it, such as "org.gpremap.0"
        Listener listener = Listener::qemu;
    };

    std::string name;
    Type type = Type::kvm;
    std::string machine = "q35";  // or "pc", or a version of either
    std::string emulator;         // path; empty: libvirt's choice
    std::string cpu_mode;         // "host-passthrough", "maximum"; empty: libvirt's choice
    unsigned vcpus = 1;

    std::string kernel;  // path; empty: no direct boot
    std::string initrd;  // path; empty: none
    std::string cmdline;

    uint64_t boot_memory = 0;                // bytes: what there is without any device
    std::optional<uint64_t> current_memory;  // bytes: what the balloon leaves at the start; nothing: all
    std::vector<uint64_t> nodes;             // bytes of boot memory in each NUMA node; empty: as needed
    std::optional<MaxMemory> max_memory;
    std::vector<Dimm> dimms;
    std::vector<VirtioMem> virtio_mems;
    std::optional<Balloon> balloon;
    MemoryBacking backing;

    std::string serial_log;  // path: what the guest prints on its first serial port; empty: nowhere
    std::vector<Channel> channels;
    std::string metadata;  // elements, each in a namespace of its own, as XML; empty: none
};

// One device, as virDomainUpdateDeviceFlags takes it. To be found, it needs slot and alias.
std::string to_xml(const QemuDomain::VirtioMem& device);

// As virDomainDefineXML takes it. Memory that can grow needs a NUMA node: with `max_memory` and no `nodes`,
// all boot memory and all vCPUs are in node 0.
std::string to_xml(const QemuDomain& domain);

}  // namespace gpremap
