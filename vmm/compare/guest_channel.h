// What a guest says on a port that QEMU connects to a socket of ours: lines, each with the time of its
// arrival.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <thread>

#include "vmm/compare/waiter.h"
#include "vmm/kvm/kvm.h"

namespace gpremap {

class GuestChannel {
  public:
    struct Line {
        std::string text;
        Clock::time_point at;
    };

    // Listens at `path`, for one QEMU, whoever it runs as. Throws std::system_error.
    GuestChannel(const std::string& path, Waiter& waiter);
    ~GuestChannel();
    GuestChannel(const GuestChannel&) = delete;
    GuestChannel& operator=(const GuestChannel&) = delete;

    const std::string& path() const { return path_; }

    // Drops it where nobody listens any more; the next line will not come then.
    void send(const std::string& line);
    // The next line, or nothing where none came until the deadline, or where the guest is gone. Throws
    // Interrupted.
    std::optional<Line> receive(Clock::duration longest);

    // Everything that has not been received, for messages.
    std::string tail();

  private:
    void listen();
    void read();
    void take(const std::string& bytes);

    static constexpr size_t most_lines = 200;

    std::string path_;
    Waiter& waiter_;
    Descriptor socket_;
    Descriptor connection_;  // the waiter's lock guards it and all below
    std::deque<Line> lines_;
    std::string unfinished_;
    bool closed_ = false;
    std::thread reader_;
};

}  // namespace gpremap
