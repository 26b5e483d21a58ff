// libvirt's test driver: parses, validates and normalises domains in this process, without a daemon.
#pragma once

#include <string>

#include "vmm/libvirt/xml_document.h"

namespace gpremap {

// The domain as libvirt has it: defaults filled in, sizes in KiB. Throws ConfigError with libvirt's message
// and the line that it is about, as far as the message says; `file` is for that.
std::string normalised_domain(const std::string& xml, const std::string& file);

}  // namespace gpremap
