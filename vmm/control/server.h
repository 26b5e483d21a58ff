// The socket: clients come and go, on a thread of its own that waits for nobody else.
#pragma once

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "vmm/control/connection.h"
#include "vmm/control/events.h"

namespace gpremap {

inline constexpr size_t most_clients = 64;

// The path of a socket, which is removed with it. For the owner alone (0600).
class SocketPath {
  public:
    // Throws ConfigError for a path that is too long, that somebody listens on, or that is no socket. One that is
    // left over is replaced.
    explicit SocketPath(std::string path);
    ~SocketPath();
    SocketPath(const SocketPath&) = delete;
    SocketPath& operator=(const SocketPath&) = delete;

    int descriptor() const { return descriptor_; }  // it listens; the acceptor takes it

  private:
    const std::string path_;
    int descriptor_ = -1;
    unsigned long device_ = 0, inode_ = 0;  // of what was made: another may have taken its place
};

class Server {
  public:
    // Clients may connect from now on, and are answered from start() on. Throws ConfigError as SocketPath does.
    explicit Server(const std::string& path);
    ~Server();

    EventRing& events() { return events_; }
    void start(Connection::Handle handle, JsonObject greeting);
    // Requests that were read are answered, all that has been replied is sent to those that read it, and no client is
    // left: within a second, whoever does not. `handle` is not called any more. Once.
    void stop();
    size_t clients() const { return clients_; }

  private:
    using Protocol = asio::local::stream_protocol;

    void accept();
    void take(Protocol::socket socket);
    void wake();
    void end_when_sent(int looks);

    SocketPath path_;
    asio::io_context context_{1};
    Protocol::acceptor acceptor_;
    asio::steady_timer timer_;
    EventRing events_;
    Connection::Handle handle_;
    JsonObject greeting_;
    std::list<std::shared_ptr<Connection>> connections_;
    std::atomic<size_t> clients_ = 0;
    std::atomic<bool> is_woken_ = false;
    std::thread thread_;
};

}  // namespace gpremap
