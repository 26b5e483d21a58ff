// A second process, which does what has to be done when this one has ended, however it ends.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "vmm/base/descriptor.h"

namespace gpremap {

class Guardian {
  public:
    // Forks, and returns once `clean_up` will be called: in the other process, which has nothing of this one's open but
    // standard error, and SIGINT and its like blocked where they are here. It is told whether notify() had been called. It
    // must not throw, nor log: say() is for that.
    // Throws std::system_error where there can be no other process, HostLacks where that ended at once.
    explicit Guardian(const std::function<void(bool was_notified)>& clean_up);
    // Has it done now, and waits for it.
    ~Guardian();
    Guardian(const Guardian&) = delete;
    Guardian& operator=(const Guardian&) = delete;

    // Once.
    void notify();

    // For `clean_up`: a line on standard error. The log's file is not open there, and its lock may be held by a thread that is not there.
    static void say(const std::string& problem);

  private:
    Descriptor alive_;  // the guardian has the other end, and sees this process end
    pid_t process_ = -1;
};

}  // namespace gpremap
