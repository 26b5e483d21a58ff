// `gpremap export-domain SCENARIO.toml`: the QEMU guest that a scenario's VM corresponds to, as libvirt's
// XML.
#pragma once

#include <iosfwd>
#include <string>

namespace gpremap {

struct ExportOptions {
    std::string scenario;
    std::string file;  // where the XML goes; empty: to `out`
};

// The scenario goes along in the metadata, so that what is written describes the same VM: this is checked
// before anything is written, and so is that libvirt takes it. Returns the exit status, 0. Throws
// ConfigError; HostLacks in a build without libvirt.
int export_domain(const ExportOptions& options, std::ostream& out);

}  // namespace gpremap
