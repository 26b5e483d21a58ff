// Where a page is served: on loopback, and nowhere else.
#pragma once

#include <sys/socket.h>

#include <string>

#include "vmm/base/descriptor.h"

namespace gpremap {

// A socket that listens, and its address as a browser takes it: "http://127.0.0.1:41234/".
struct LoopbackListener {
    Descriptor socket;
    std::string url;
};

// On `address`: "127.0.0.1:8080", "[::1]:0" (any free port), "localhost:0". Throws ConfigError where it is no address of
// loopback with a port, or the port is taken.
LoopbackListener listen_on_loopback(const std::string& address);

}  // namespace gpremap
