// A serial port of the kind 16550, as far as a kernel's console needs one: what is written comes out, and what is typed goes in.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

namespace gpremap {

// By any thread.
class SerialPort {
  public:
    // `put` is given what is written, `interrupt` is called where the kernel is to be interrupted: ready for more, or something has come.
    SerialPort(std::function<void(char)> put, std::function<void()> interrupt)
        : put_(std::move(put)), interrupt_(std::move(interrupt)) {}

    // `offset` is that of a register: 0 to 7.
    void write(unsigned offset, uint8_t value);
    uint8_t read(unsigned offset);

    // From outside. What the kernel does not read is kept up to `most_waiting`, and the rest is lost.
    void receive(uint8_t byte);
    static constexpr std::size_t most_waiting = 4096;

  private:
    bool shows_divisor() const { return line_control_ & 0x80; }
    uint8_t modem_status() const;

    const std::function<void(char)> put_;
    const std::function<void()> interrupt_;
    std::mutex mutex_;  // guards what follows
    uint8_t interrupts_ = 0;
    uint8_t line_control_ = 0;
    uint8_t modem_control_ = 0;
    uint8_t scratch_ = 0;
    uint8_t divisor_[2] = {1, 0};
    std::deque<uint8_t> waiting_;  // to be read
    bool is_empty_told_ = true;    // that there is room for more to write
};

}  // namespace gpremap
