// What the kernel writes to its serial port: kept for reports, and written to where it is wanted.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "vmm/base/descriptor.h"

namespace gpremap {

// Its functions may be called by any thread.
class Console {
  public:
    static constexpr std::size_t kept = 16384;  // bytes

    // `file` gets all of it, as it comes; "-" and "terminal" are standard error, and none where it is empty. Throws ConfigError where it
    // cannot be written.
    explicit Console(const std::string& file);

    void put(char byte);
    // "; the console's last lines:" and at most `lines` of them, each on a line of its own; or that it has said nothing.
    std::string last_lines(unsigned lines) const;

  private:
    int target() const { return to_terminal_ ? 2 : file_.get(); }

    Descriptor file_;
    const bool to_terminal_;
    mutable std::mutex mutex_;
    std::string text_;  // the last bytes, at most 2 * kept; guarded by mutex_
};

}  // namespace gpremap
