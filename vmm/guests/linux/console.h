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

    // `file` gets what comes up to `most_in_file` bytes; "-" and "terminal" are standard error, and none where it is empty. Throws ConfigError where it
    // cannot be written.
    explicit Console(const std::string& file, std::size_t most_in_file = std::size_t{64} << 20);

    void put(char byte);
    // "; the console's last lines:" and at most `lines` of them, each on a line of its own; or that it has said nothing.
    std::string last_lines(unsigned lines) const;

  private:
    void put_out(std::string_view text) const;

    const Descriptor file_;
    const bool to_terminal_;
    const std::size_t most_in_file_;
    mutable std::mutex mutex_;  // guards what follows
    std::string text_;          // the last bytes, at most 2 * kept
    std::size_t in_file_ = 0;   // bytes
};

}  // namespace gpremap
