#include "vmm/control/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <asio/post.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "vmm/base/descriptor.h"
#include "vmm/base/errors.h"
#include "vmm/base/threads.h"

namespace gpremap {

namespace {

Descriptor new_socket() {
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket.valid()) throw_errno("a socket");
    return socket;
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        throw ConfigError(
            fmt::format("--control {}: expected a path of 1 to {} bytes, which is what Linux takes for a "
                        "socket; it has {}",
                        path, sizeof address.sun_path - 1, path.size()));
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

// Removes a socket that nobody listens on. Whatever else is there stays, and is an error.
void remove_left_over(const std::string& path, const sockaddr_un& address) {
    struct stat there = {};
    if (lstat(path.c_str(), &there) != 0) return;
    if (!S_ISSOCK(there.st_mode))
        throw ConfigError(
            fmt::format("--control {}: is there, and no socket; expected a path of its own", path));
    const Descriptor probe = new_socket();
    const int failed = connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (failed == 0 || errno != ECONNREFUSED)
        throw ConfigError(fmt::format("--control {}: somebody listens there ({}); expected a path of its own",
                                      path, failed == 0 ? "connected" : strerror(errno)));
    unlink(path.c_str());
}

// Under another name until it listens: who sees it there can connect, and a second program does not take it for one that
// is left over. By way of the folder's descriptor, so that the other name is not too long. Returns 0 or the errno.
int listen_at(const Descriptor& socket, const std::string& path) {
    const std::filesystem::path whole(path);
    const std::string parent = whole.has_parent_path() ? whole.parent_path().string() : ".";
    const Descriptor folder(open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder.valid()) return errno;
    const std::string name = fmt::format(".gpremap-control-{}", getpid());
    const sockaddr_un address = address_of(fmt::format("/proc/self/fd/{}/{}", folder.get(), name));
    const mode_t mask = umask(0177);  // before any other thread is there
    int error =
        bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
    umask(mask);
    if (error != 0) return error;
    if (listen(socket.get(), static_cast<int>(most_clients)) != 0 ||
        renameat2(folder.get(), name.c_str(), folder.get(), whole.filename().c_str(), RENAME_NOREPLACE) !=
            0) {
        error = errno;
        unlinkat(folder.get(), name.c_str(), 0);
    }
    return error;
}

}  // namespace

SocketPath::SocketPath(std::string path) : path_(std::move(path)) {
    const sockaddr_un address = address_of(path_);
    remove_left_over(path_, address);
    const Descriptor socket = new_socket();
    if (int error = listen_at(socket, path_))
        throw ConfigError(fmt::format("--control {}: {}", path_, strerror(error)));
    struct stat made = {};
    if (stat(path_.c_str(), &made) == 0) {
        device_ = made.st_dev;
        inode_ = made.st_ino;
    }
    descriptor_ = fcntl(socket.get(), F_DUPFD_CLOEXEC, 0);
    if (descriptor_ < 0) throw_errno("a socket");
}

SocketPath::~SocketPath() {
    struct stat there = {};
    if (lstat(path_.c_str(), &there) == 0 && there.st_dev == device_ && there.st_ino == inode_)
        unlink(path_.c_str());
}

Server::Server(const std::string& path)
    : path_(path),
      acceptor_(context_, Protocol(), path_.descriptor()),
      timer_(context_),
      events_([this] { wake(); }) {}

Server::~Server() {
    stop();
}

void Server::start(Connection::Handle handle, JsonObject greeting) {
    handle_ = std::move(handle);
    greeting_ = std::move(greeting);
    accept();
    thread_ = std::thread([this] {
        begin_thread(ThreadKind::control, "control");
        context_.run();
    });
}

void Server::accept() {
    acceptor_.async_accept([this](asio::error_code error, Protocol::socket socket) {
        if (error == asio::error::operation_aborted) return;
        if (!error) {
            take(std::move(socket));
            return accept();
        }
        // Descriptors are short, perhaps: those that wait go on to wait.
        timer_.expires_after(std::chrono::milliseconds(100));
        timer_.async_wait([this](asio::error_code ended) {
            if (!ended) accept();
        });
    });
}

void Server::take(Protocol::socket socket) {
    std::erase_if(connections_, [](const auto& each) { return !each->is_open(); });
    const bool is_full = connections_.size() >= most_clients;
    const auto connection = std::make_shared<Connection>(std::move(socket), handle_, events_);
    if (is_full) {
        spdlog::warn("control: {} clients are connected; another one is turned away", most_clients);
        return connection->end(
            CallError(ErrorCode::too_much, fmt::format("{} clients are connected", most_clients)));
    }
    connections_.push_back(connection);
    clients_ = connections_.size();
    connection->start(greeting_);
}

// Many events may come before the thread has got to the first.
void Server::wake() {
    if (is_woken_.exchange(true)) return;
    asio::post(context_, [this] {
        is_woken_ = false;
        for (const auto& connection : connections_) connection->look_for_events();
    });
}

void Server::stop() {
    if (!thread_.joinable()) return;
    asio::post(context_, [this] {
        asio::error_code ignored;
        acceptor_.close(ignored);
        for (const auto& connection : connections_) connection->finish();
        end_when_sent(200);
    });
    thread_.join();
}

// A second, and more where this host stands still meanwhile: it is looks that are counted.
void Server::end_when_sent(int looks) {
    std::erase_if(connections_, [](const auto& each) { return !each->is_open(); });
    if (connections_.empty() || looks == 0) return context_.stop();
    timer_.expires_after(std::chrono::milliseconds(5));
    timer_.async_wait([this, looks](asio::error_code) { end_when_sent(looks - 1); });
}

}  // namespace gpremap
