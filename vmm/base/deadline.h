// A time that must not pass: ends what a guest that never answers would hold for ever.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace gpremap {

class Deadline {
  public:
    using End = std::function<void(std::exception_ptr)>;

    // When `seconds` from now have passed, calls `end` with a GuestDied that says `what`, from a thread of its own.
    // Throws std::system_error where there can be no thread.
    Deadline(double seconds, std::string what, End end);
    // Nothing is called any more.
    ~Deadline();
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;

    // Throws that GuestDied where it has passed: for whoever does not wait for the guest.
    void check() const;

  private:
    void wait(std::stop_token stop, double seconds);

    const std::string what_;
    const End end_;
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    bool has_passed_ = false;  // guarded by mutex_
    std::jthread thread_;
};

}  // namespace gpremap
