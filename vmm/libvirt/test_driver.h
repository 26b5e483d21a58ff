// libvirt's test driver: parses, validates and normalises domains in this process, without a daemon.
#pragma once

#include <string>

#include "vmm/libvirt/xml_document.h"

namespace gpremap {

// The domain as libvirt has it: defaults filled in, sizes in KiB. Throws ConfigError with libvirt's message
// and the line in `file` that it is about, as far as the message says.
std::string normalised_domain(const XmlDocument& written, const std::string& file);

// Throws ConfigError with libvirt's own words for text that is not well-formed.
[[noreturn]] void refuse_malformed(const std::string& text, const std::string& file);

}  // namespace gpremap
