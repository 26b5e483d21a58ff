// A file descriptor with an owner, and system calls that have no reason to fail.
#pragma once

#include <string>
#include <utility>

namespace gpremap {

// A file descriptor that is closed with its owner.
class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor();

    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }

  private:
    int fd_ = -1;
};

// Throws std::system_error with errno and what was attempted.
[[noreturn]] void throw_errno(const std::string& attempted);

}  // namespace gpremap
