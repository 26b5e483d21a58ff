// Ctrl-C and its like as an exception, so that whatever was started is stopped by its owner.
#pragma once

#include <csignal>
#include <stdexcept>

namespace gpremap {

struct Interrupted : std::runtime_error {
    explicit Interrupted(int with);
    int signal;
};

// While one exists, SIGINT, SIGTERM and SIGHUP wait until somebody checks, or until it goes: so it goes when
// everything has been stopped. Made before any thread: threads take after their maker.
class Interruption {
  public:
    Interruption();
    ~Interruption();
    Interruption(const Interruption&) = delete;
    Interruption& operator=(const Interruption&) = delete;

    // Throws Interrupted where such a signal has come.
    void check() const;

  private:
    sigset_t signals_;
    sigset_t before_;
};

}  // namespace gpremap
