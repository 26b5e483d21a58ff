// A libvirt domain as the description of a VM. libvirt itself parses, validates and normalises it; what of it
// becomes what is documented in docs/scenarios.md.
//
// No type of libvirt is in here: a build without it has these functions, too (libvirt_absent.cpp), which
// throw HostLacks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/config/machine_config.h"

namespace gpremap {

// Memory that the domain begins with: mapped before the scenario's first step.
struct DomainRange {
    enum class Residency { on_touch, populated, locked };
    std::string name;   // "node0", "dimm0", "virtio_mem0"
    uint64_t at = 0;    // bytes, guest-physical
    uint64_t size = 0;  // bytes
    uint64_t room = 0;  // bytes, from `at` on, that belong to it when it grows
    Residency residency = Residency::on_touch;
    unsigned line = 1;  // of the element that describes it
};

// The scenario inside of a domain's <metadata>.
struct EmbeddedScenario {
    std::string text;   // TOML, after as many empty lines as stand before it in the XML file
    unsigned line = 1;  // of its element
};

struct VmDomain {
    std::string file;
    std::string name;
    MachineConfig machine;
    std::vector<DomainRange> ranges;
    // Those of which nothing is there yet: a node that the balloon has, a virtio-mem device of which nothing
    // is requested.
    std::vector<DomainRange> empty;
    std::optional<EmbeddedScenario> scenario;
    std::vector<std::string> ignored;  // "FILE:LINE: <disk>: why it has no meaning here"

    // Bytes that the ranges have together.
    uint64_t mapped() const {
        uint64_t all = 0;
        for (const DomainRange& range : ranges) all += range.size;
        return all;
    }
};

// The namespace of the element <scenario> in <metadata>.
inline constexpr std::string_view scenario_namespace = "urn:gpremap:scenario";

// Whether a file holds XML, and not TOML.
inline bool is_xml(std::string_view text) {
    size_t first = text.find_first_not_of(" \t\r\n");
    return first != std::string_view::npos && text[first] == '<';
}

// Throws ConfigError with libvirt's own message for what libvirt refuses, and for what a VM here cannot be;
// HostLacks in a build without libvirt. `name` stands for the file in messages.
VmDomain parse_domain(const std::string& text, const std::string& name);

}  // namespace gpremap
