// Another program, run beside this one.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace gpremap {

// In a process group of its own, so that Ctrl-C reaches it only through us. Ended with its owner.
class ChildProcess {
  public:
    // Starts `command`, looked for in PATH; what it writes goes to these files. Throws std::system_error.
    ChildProcess(const std::vector<std::string>& command, const std::string& output,
                 const std::string& errors);
    ~ChildProcess();
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    bool has_ended();
    // Once it has ended: whether its status was 0.
    bool succeeded() const;

  private:
    pid_t pid_ = 0;
    int status_ = 0;
};

}  // namespace gpremap
