// One client: its lines in, answers and events out. By the server's thread alone.
//
// What is kept for a client is bounded. One that sends faster than it reads is not read from until it has read; one
// that takes nothing for a while, or sends what cannot be a line, is dropped. Events wait in the ring and not here:
// who is overtaken by it is told so, and dropped.
#pragma once

#include <array>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/control/events.h"
#include "vmm/control/protocol.h"

namespace gpremap {

class Connection : public std::enable_shared_from_this<Connection> {
  public:
    using Socket = asio::local::stream_protocol::socket;
    // Called by the server's thread, and must not wait.
    using Handle = std::function<void(Request, Reply)>;

    // All outlive it.
    Connection(Socket socket, const Handle& handle, const EventRing& events);

    void start(const JsonObject& greeting);
    // There may be new events.
    void look_for_events();
    // Tells it why, and closes once that is written.
    void end(const CallError& because);
    // Reads no more requests, and closes once those that were read are answered and the events of until now written.
    void finish();
    bool is_open() const { return socket_.is_open(); }

  private:
    // A line's requests, until all have their outcomes.
    struct Pending {
        bool is_batch = false;
        size_t open = 0;
        std::vector<JsonObject> answers;
    };

    void read();
    void take_lines();
    void take_line(std::string_view line);
    void dispatch(Request request, const std::shared_ptr<Pending>& pending);
    Outcome subscribe(const JsonObject& arguments);
    void settle(const Request& request, const Outcome& outcome, Pending& pending);
    void answer(const Pending& pending);
    void send(const JsonObject& message);
    void write();
    void close_when_sent();
    void close();
    bool has_room() const;

    Socket socket_;
    const Handle& handle_;
    const EventRing& events_;
    asio::steady_timer stalled_;
    std::array<char, 16384> chunk_;
    std::string in_;       // what is no whole line yet, or waits for room
    std::string out_;      // what waits for the write that is under way
    std::string writing_;  // what that is of
    size_t in_flight_ = 0;
    std::optional<uint64_t> next_event_;  // where it wants any
    bool is_reading_ = false;
    bool is_finishing_ = false;  // nothing more is read
    bool is_ending_ = false;     // and nothing more is said: it closes when all is written
};

}  // namespace gpremap
