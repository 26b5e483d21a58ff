#include "vmm/control/client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "vmm/base/errors.h"
#include "vmm/control/protocol.h"

namespace gpremap {

ControlClient::ControlClient(const std::string& path) : path_(path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        throw ConfigError(fmt::format("{}: expected the path of a socket, of 1 to {} bytes", path,
                                      sizeof address.sun_path - 1));
    std::memcpy(address.sun_path, path.data(), path.size());
    socket_ = Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket_.valid()) throw_errno("a socket");
    if (connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw HostLacks(
            fmt::format("{}: {}: start a run with `gpremap run --control {}`", path, strerror(errno), path));
    const auto greeting = next();
    if (!greeting || greeting->value("method", "") != "hello")
        throw HostLacks(path + ": turned away: " + (greeting ? greeting->dump() : "it has closed") +
                        ": try again");
    if (greeting->at("params").value("version", 0u) != control_version)
        throw ConfigError(fmt::format("{}: expected version {} of the protocol, got {}", path,
                                      control_version, greeting->dump()));
}

std::optional<std::string> ControlClient::read_line() {
    std::array<char, 65536> chunk;
    size_t end;
    while ((end = in_.find('\n')) == std::string::npos) {
        const ssize_t n = read(socket_.get(), chunk.data(), chunk.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return std::nullopt;
        in_.append(chunk.data(), static_cast<size_t>(n));
    }
    std::string line = in_.substr(0, end);
    in_.erase(0, end + 1);
    return line;
}

std::optional<JsonObject> ControlClient::next() {
    const auto line = read_line();
    if (!line) return std::nullopt;
    const JsonObject message = JsonObject::parse(*line, nullptr, false);
    if (!message.is_object()) throw HostLacks(path_ + ": what listens there is no gpremap: name its socket");
    return message;
}

JsonObject ControlClient::call(const std::string& method, const JsonObject& arguments) {
    const unsigned id = ++calls_;
    const std::string line =
        line_of({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", arguments}});
    for (size_t sent = 0; sent < line.size();) {
        const ssize_t n = send(socket_.get(), line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;  // why, it may still have said
        sent += static_cast<size_t>(n);
    }
    while (const auto message = next())
        if (message->contains("id") && (message->at("id") == id || message->at("id").is_null()))
            return *message;
    throw HostLacks(path_ + ": it has closed before it answered: the run has ended");
}

JsonObject arguments_of(const std::vector<std::string>& words) {
    JsonObject arguments = JsonObject::object();
    for (const std::string& word : words) {
        const size_t equals = word.find('=');
        if (equals == 0 || equals == std::string::npos)
            throw ConfigError(fmt::format("'{}': expected key=value, such as range=heap", word));
        const std::string key = word.substr(0, equals), text = word.substr(equals + 1);
        if (arguments.contains(key)) throw ConfigError(fmt::format("'{}' is stated twice", key));
        const JsonObject value = JsonObject::parse(text, nullptr, false);
        arguments[key] = value.is_discarded() ? JsonObject(text) : value;
    }
    return arguments;
}

}  // namespace gpremap
