// libvirt's QEMU driver inside of this process: it needs no daemon, but an event loop and a folder.
#pragma once

#include <filesystem>
#include <string>

namespace gpremap {

// Writes the driver's settings into `root`, which may be new, and returns the URI to connect to.
std::string embedded_uri(const std::filesystem::path& root);

}  // namespace gpremap
