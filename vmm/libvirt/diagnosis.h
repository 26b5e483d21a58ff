// What of libvirt works on this host, for `gpremap doctor`.
#pragma once

#include <string>
#include <vector>

namespace gpremap {

struct LibvirtFinding {
    std::string what;  // "libvirt", or a connection's URI
    bool works = false;
    std::string reason;  // what was found, or libvirt's own message
    std::string mend;    // empty where it works
};

// The library's version, and each connection that gpremap may use. Starts no daemon, and waits for none
// longer than a few seconds.
std::vector<LibvirtFinding> examine_libvirt();

}  // namespace gpremap
