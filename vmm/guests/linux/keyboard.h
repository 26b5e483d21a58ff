// What is typed at this program's terminal (standard input), for the console of a guest. While there is one, the terminal
// neither echoes nor waits for the end of a line: that is the guest's. Ctrl-C is still this program's.
#pragma once

#include <termios.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <thread>

#include "vmm/base/descriptor.h"

namespace gpremap {

class Keyboard {
  public:
    // `take` is called by a thread of its own for each byte, until there are no more. Throws std::system_error.
    explicit Keyboard(std::function<void(uint8_t)> take);
    // The terminal is as before.
    ~Keyboard();
    Keyboard(const Keyboard&) = delete;
    Keyboard& operator=(const Keyboard&) = delete;

  private:
    void read();

    const std::function<void(uint8_t)> take_;
    std::optional<termios> before_;  // where it is a terminal
    Descriptor end_;                 // an eventfd: told when this ends
    std::thread thread_;
};

}  // namespace gpremap
