// Waiting for what other threads bring, with a deadline, and not through a Ctrl-C.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

#include "vmm/base/interruption.h"

namespace gpremap {

using Clock = std::chrono::steady_clock;

inline uint64_t ns_between(Clock::time_point begin, Clock::time_point end) {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(end - begin).count());
}

class Waiter {
  public:
    Waiter(const Interruption& interruption, std::chrono::duration<double> deadline)
        : interruption_(interruption), deadline_(std::chrono::duration_cast<Clock::duration>(deadline)) {}

    Clock::duration deadline() const { return deadline_; }
    const Interruption& interruption() const { return interruption_; }

    // For the threads: changes what is waited for.
    template <typename Change>
    void change(Change change) {
        std::lock_guard lock(mutex_);
        change();
        changed_.notify_all();
    }

    // Until `done`, which is asked while nothing changes, returns true; false where `longest` has passed
    // before. Throws Interrupted.
    template <typename Done>
    bool wait(Done done, Clock::duration longest) {
        constexpr std::chrono::milliseconds slice(20);  // in which an interruption is noticed
        const Clock::time_point end = Clock::now() + longest;
        std::unique_lock lock(mutex_);
        while (!done()) {
            interruption_.check();
            if (Clock::now() >= end) return false;
            changed_.wait_until(lock, std::min(end, Clock::now() + slice));
        }
        return true;
    }
    template <typename Done>
    bool wait(Done done) {
        return wait(std::move(done), deadline_);
    }

    void sleep(Clock::duration duration) {
        wait([] { return false; }, duration);
    }

  private:
    const Interruption& interruption_;
    Clock::duration deadline_;
    std::mutex mutex_;
    std::condition_variable changed_;
};

}  // namespace gpremap
