// Which elements of a domain mean something to a VM here, which nothing, and which more than it can do.
#pragma once

#include <string>
#include <vector>

#include "vmm/libvirt/xml_document.h"

namespace gpremap {

// "FILE:LINE: <disk> ..." for each element that has no meaning here. Throws ConfigError, a line each, for
// those that a VM here cannot be true to.
std::vector<std::string> check_elements(const XmlElement& domain, const std::string& file);

}  // namespace gpremap
