#include "vmm/base/deadline.h"

#include <chrono>
#include <utility>

#include "vmm/base/errors.h"
#include "vmm/base/threads.h"

namespace gpremap {

Deadline::Deadline(double seconds, std::string what, End end)
    : what_(std::move(what)),
      end_(std::move(end)),
      thread_([this, seconds](std::stop_token stop) { wait(stop, seconds); }) {}

Deadline::~Deadline() = default;

void Deadline::check() const {
    const std::lock_guard lock(mutex_);
    if (has_passed_) throw GuestDied(what_);
}

void Deadline::wait(std::stop_token stop, double seconds) {
    begin_thread(ThreadKind::deadline, "deadline");
    {
        std::unique_lock lock(mutex_);
        const auto time =
            std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
        changed_.wait_for(lock, stop, time, [] { return false; });
        if (stop.stop_requested()) return;
        has_passed_ = true;
    }
    end_(std::make_exception_ptr(GuestDied(what_)));
}

}  // namespace gpremap
