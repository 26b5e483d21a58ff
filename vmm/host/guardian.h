// A second process, which does what has to be done when this one has ended, however it ends.
#pragma once

#include <sys/types.h>

#include <functional>

#include "vmm/base/descriptor.h"

namespace gpremap {

class Guardian {
  public:
    // Forks, and returns once `clean_up` will be called: in the other process, without its standard input and output, and
    // whether notify() had been called. It must not log where other threads may be logging now.
    // Throws std::system_error.
    explicit Guardian(const std::function<void(bool was_notified)>& clean_up);
    // Has it done now, and waits for it.
    ~Guardian();
    Guardian(const Guardian&) = delete;
    Guardian& operator=(const Guardian&) = delete;

    // Once.
    void notify();

  private:
    Descriptor alive_;  // the guardian has the other end, and sees this process end
    pid_t process_ = -1;
};

}  // namespace gpremap
