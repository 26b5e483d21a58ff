#include "vmm/guests/linux/serial_port.h"

namespace gpremap {
namespace {

enum Register : unsigned {
    data = 0,
    interrupt_enable = 1,
    interrupt_identity = 2,
    line_control = 3,
    modem_control = 4,
    line_status = 5,
    modem_status_register = 6,
    scratch = 7,
};
constexpr uint8_t when_received = 1, when_empty = 2;                 // of interrupt_enable
constexpr uint8_t no_interrupt = 1, is_empty = 2, has_received = 4;  // of interrupt_identity
constexpr uint8_t loops_back = 0x10;                                 // of modem_control
constexpr uint8_t data_ready = 1, empty = 0x60;                      // of line_status
constexpr uint8_t carrier_ready_and_clear_to_send = 0xb0;            // of modem_status

}  // namespace

void SerialPort::write(unsigned offset, uint8_t value) {
    bool interrupts = false;
    bool prints = false;
    {
        const std::lock_guard lock(mutex_);
        if (shows_divisor() && offset <= 1) {
            divisor_[offset] = value;
            return;
        }
        switch (offset) {
            case data:
                prints = !(modem_control_ & loops_back);
                interrupts = interrupts_ & when_empty;
                break;
            case interrupt_enable:
                interrupts =
                    (value & ~interrupts_ & when_empty) || (value & when_received && !waiting_.empty());
                interrupts_ = value & 0xf;
                break;
            case line_control:
                line_control_ = value;
                break;
            case modem_control:
                modem_control_ = value & 0x1f;
                break;
            case scratch:
                scratch_ = value;
                break;
            default:
                break;
        }
        if (interrupts && (interrupts_ & when_empty)) is_empty_told_ = false;
    }
    if (prints) put_(static_cast<char>(value));
    if (interrupts) interrupt_();
}

uint8_t SerialPort::read(unsigned offset) {
    const std::lock_guard lock(mutex_);
    if (shows_divisor() && offset <= 1) return divisor_[offset];
    switch (offset) {
        case data: {
            if (waiting_.empty()) return 0;
            const uint8_t byte = waiting_.front();
            waiting_.pop_front();
            return byte;
        }
        case interrupt_enable:
            return interrupts_;
        case interrupt_identity: {
            if (!waiting_.empty() && (interrupts_ & when_received)) return has_received;
            const bool tells = !is_empty_told_ && (interrupts_ & when_empty);
            is_empty_told_ = true;
            return tells ? is_empty : no_interrupt;
        }
        case line_control:
            return line_control_;
        case modem_control:
            return modem_control_;
        case line_status:
            return waiting_.empty() ? empty : empty | data_ready;
        case modem_status_register:
            return modem_status();
        case scratch:
            return scratch_;
        default:
            return 0;
    }
}

void SerialPort::receive(uint8_t byte) {
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.size() == most_waiting) return;
        waiting_.push_back(byte);
        if (!(interrupts_ & when_received)) return;
    }
    interrupt_();
}

// Looped back, the port's outputs are its inputs.
uint8_t SerialPort::modem_status() const {
    if (!(modem_control_ & loops_back)) return carrier_ready_and_clear_to_send;
    const unsigned outputs = modem_control_;
    return static_cast<uint8_t>((outputs & 0xc) << 4 | (outputs & 2) << 3 | (outputs & 1) << 5);
}

}  // namespace gpremap
