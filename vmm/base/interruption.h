// Ctrl-C and its like: what is under way is ended by its owner, in order; a second one ends the program at once.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

#include "vmm/base/descriptor.h"

namespace gpremap {

struct Interrupted : std::runtime_error {
    explicit Interrupted(int with);
    int signal;
};

// The exit status of a program that a signal has asked to end, and that has ended in order: as shells show it.
constexpr int exit_status_of(int signal) {
    return 128 + signal;
}

// While one exists, SIGINT, SIGTERM and SIGHUP only leave a note, but for those that were ignored before. The
// second one ends the program, with the exit status that its first one would have had. Made before any other
// thread: threads take the blocked signals after their maker. One at a time.
class Interruption {
  public:
    Interruption();
    ~Interruption();
    Interruption(const Interruption&) = delete;
    Interruption& operator=(const Interruption&) = delete;

    // As if `signal` had come, where none has yet. By any thread.
    void ask(int signal);

    // The first such signal that has come.
    std::optional<int> requested() const;
    // Throws Interrupted where one has come.
    void check() const;
    // Ends early where one comes.
    void sleep(std::chrono::duration<double> duration) const;

  private:
    void watch();
    void note(int signal);

    sigset_t signals_;
    sigset_t before_;
    Descriptor arrivals_;  // a signalfd
    Descriptor end_;       // an eventfd: told when this ends
    std::atomic<int> signal_ = 0;
    mutable std::mutex mutex_;
    mutable std::condition_variable noted_;
    std::thread thread_;
};

}  // namespace gpremap
