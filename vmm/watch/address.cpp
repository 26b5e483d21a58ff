#include "vmm/watch/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "vmm/base/errors.h"

namespace gpremap {

namespace {

struct Address {
    sockaddr_storage storage = {};
    socklen_t size = 0;

    sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

std::optional<uint16_t> port_in(const std::string& text) {
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return port;
}

std::optional<Address> address_of(const std::string& host, uint16_t port) {
    Address address;
    sockaddr_in v4 = {};
    sockaddr_in6 v6 = {};
    if (host == "[::1]") {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        v6.sin6_addr = in6addr_loopback;
        std::memcpy(&address.storage, &v6, sizeof v6);
        address.size = sizeof v6;
        return address;
    }
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    const std::string numeric = host == "localhost" ? "127.0.0.1" : host;
    if (inet_pton(AF_INET, numeric.c_str(), &v4.sin_addr) != 1) return std::nullopt;
    if (ntohl(v4.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET) return std::nullopt;
    std::memcpy(&address.storage, &v4, sizeof v4);
    address.size = sizeof v4;
    return address;
}

uint16_t port_of(int socket) {
    Address address;
    address.size = sizeof address.storage;
    if (getsockname(socket, address.get(), &address.size) != 0) throw_errno("getsockname");
    const bool is_v6 = address.storage.ss_family == AF_INET6;
    return ntohs(is_v6 ? reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_port
                       : reinterpret_cast<const sockaddr_in&>(address.storage).sin_port);
}

[[noreturn]] void refuse(const std::string& address, int error) {
    const char* mend = error == EADDRINUSE ? ": another program has this port; port 0 takes one that is free"
                       : error == EACCES   ? ": ports below 1024 are root's; port 0 takes one that is free"
                                           : "";
    throw ConfigError(
        fmt::format("--watch {}: cannot be listened on: {}{}", address, std::strerror(error), mend));
}

}  // namespace

LoopbackListener listen_on_loopback(const std::string& text) {
    const size_t colon = text.rfind(':');
    const std::string host = text.substr(0, colon);
    const auto port = colon == std::string::npos ? std::nullopt : port_in(text.substr(colon + 1));
    auto address = port ? address_of(host, *port) : std::nullopt;
    if (!address)
        throw ConfigError(
            fmt::format("--watch {}: expected an address of this host alone and a port, such as "
                        "127.0.0.1:8080, or 127.0.0.1:0 for any that is free",
                        text));
    LoopbackListener listener{
        Descriptor(socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), ""};
    if (!listener.socket.valid()) refuse(text, errno);
    const int on = 1;  // a port that was just given up is free
    setsockopt(listener.socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    constexpr int backlog = 16;
    if (bind(listener.socket.get(), address->get(), address->size) != 0 ||
        listen(listener.socket.get(), backlog) != 0)
        refuse(text, errno);
    listener.url = fmt::format("http://{}:{}/", host, port_of(listener.socket.get()));
    return listener;
}

}  // namespace gpremap
