#include "vmm/compare/guest_channel.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace gpremap {

GuestChannel::GuestChannel(const std::string& path, Waiter& waiter) : path_(path), waiter_(waiter) {
    listen();
    reader_ = std::thread([this] { read(); });
}

GuestChannel::~GuestChannel() {
    shutdown(socket_.get(), SHUT_RDWR);  // ends accept, too
    waiter_.change([&] {
        closed_ = true;
        if (connection_.valid()) shutdown(connection_.get(), SHUT_RDWR);
    });
    reader_.join();
    unlink(path_.c_str());
}

void GuestChannel::listen() {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        throw_errno("listening at " + path_);
    }
    std::memcpy(address.sun_path, path_.c_str(), path_.size());
    socket_ = Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket_.valid() || bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0 ||
        ::listen(socket_.get(), 1) < 0 || chmod(path_.c_str(), 0666) < 0)
        throw_errno("listening at " + path_);
}

void GuestChannel::read() {
    Descriptor accepted(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const int fd = accepted.get();
    bool ended = false;
    waiter_.change([&] {
        ended = closed_;
        connection_ = std::move(accepted);
    });
    std::array<char, 4096> bytes;
    while (!ended) {
        const ssize_t size = ::read(fd, bytes.data(), bytes.size());
        if (size <= 0) break;
        take(std::string(bytes.data(), static_cast<size_t>(size)));
    }
    waiter_.change([&] { closed_ = true; });
}

void GuestChannel::take(const std::string& bytes) {
    const Clock::time_point now = Clock::now();
    waiter_.change([&] {
        for (char byte : bytes) {
            if (byte == '\n') {
                lines_.push_back({std::exchange(unfinished_, ""), now});
            } else if (byte != '\r') {
                unfinished_ += byte;
            }
        }
        while (lines_.size() > most_lines) lines_.pop_front();
    });
}

void GuestChannel::send(const std::string& line) {
    waiter_.change([&] {
        if (closed_ || !connection_.valid()) return;
        const std::string text = line + "\n";
        // A line is short, and what the guest does not take now the socket's buffer keeps.
        [[maybe_unused]] ssize_t sent =
            ::send(connection_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    });
}

std::optional<GuestChannel::Line> GuestChannel::receive(Clock::duration longest) {
    std::optional<Line> line;
    waiter_.wait(
        [&] {
            if (lines_.empty()) return closed_;
            line = std::move(lines_.front());
            lines_.pop_front();
            return true;
        },
        longest);
    return line;
}

std::string GuestChannel::tail() {
    std::string text;
    waiter_.change([&] {
        for (const Line& line : lines_) text += line.text + "\n";
        if (!unfinished_.empty()) text += unfinished_ + "\n";
    });
    return text;
}

}  // namespace gpremap
