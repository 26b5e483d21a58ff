// The serial port as a driver uses it, and what is kept of a console.
#include "vmm/guests/linux/serial_port.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "vmm/base/text_file.h"
#include "vmm/guests/linux/console.h"

namespace gpremap {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

constexpr unsigned data = 0, interrupt_enable = 1, identity = 2, line_control = 3, modem_control = 4,
                   line_status = 5, modem_status = 6, scratch = 7;

class Serial : public testing::Test {
  protected:
    std::string written_;
    int interrupts_ = 0;
    SerialPort port_{[this](char byte) { written_ += byte; }, [this] { interrupts_++; }};
};

TEST_F(Serial, WritesAndIsAlwaysReady) {
    for (const char byte : std::string("hello")) port_.write(data, static_cast<uint8_t>(byte));
    EXPECT_EQ(written_, "hello");
    EXPECT_EQ(port_.read(line_status), 0x60);
    EXPECT_EQ(interrupts_, 0);
}

TEST_F(Serial, InterruptsWhereItIsEmptyAndAskedTo) {
    EXPECT_EQ(port_.read(identity), 1) << "no interrupt";
    port_.write(interrupt_enable, 2);
    EXPECT_EQ(interrupts_, 1);
    EXPECT_EQ(port_.read(identity), 2) << "ready for more";
    EXPECT_EQ(port_.read(identity), 1) << "told once";
    port_.write(data, 'x');
    EXPECT_EQ(interrupts_, 2);
    EXPECT_EQ(port_.read(identity), 2);
    port_.write(interrupt_enable, 0);
    port_.write(data, 'y');
    EXPECT_EQ(interrupts_, 2);
}

TEST_F(Serial, LooksLikeOneToADriver) {
    port_.write(line_control, 0x83);
    port_.write(data, 12);
    EXPECT_EQ(port_.read(data), 12) << "the divisor";
    EXPECT_EQ(written_, "");
    port_.write(line_control, 3);
    port_.write(scratch, 0xa5);
    EXPECT_EQ(port_.read(scratch), 0xa5);
    port_.write(modem_control, 0x1a);
    EXPECT_EQ(port_.read(modem_status) & 0xf0, 0x90) << "looped back";
    port_.write(data, 'x');
    EXPECT_EQ(written_, "");
    port_.write(modem_control, 0);
    EXPECT_EQ(port_.read(modem_status), 0xb0);
}

TEST_F(Serial, GivesWhatHasComeAndInterruptsForIt) {
    port_.receive('a');
    EXPECT_EQ(interrupts_, 0) << "not asked to";
    EXPECT_EQ(port_.read(line_status), 0x61);
    port_.write(interrupt_enable, 1);
    EXPECT_EQ(interrupts_, 1) << "something is there";
    EXPECT_EQ(port_.read(identity), 4);
    EXPECT_EQ(port_.read(data), 'a');
    EXPECT_EQ(port_.read(identity), 1);
    EXPECT_EQ(port_.read(line_status), 0x60);
    port_.receive('b');
    EXPECT_EQ(interrupts_, 2);
    for (std::size_t i = 0; i < 2 * SerialPort::most_waiting; i++) port_.receive('c');
    EXPECT_EQ(port_.read(data), 'b');
    for (std::size_t i = 1; i < SerialPort::most_waiting; i++) EXPECT_EQ(port_.read(data), 'c');
    EXPECT_EQ(port_.read(line_status), 0x60) << "what nobody reads is not kept for ever";
}

// A guest may write for ever, and what it writes may be meant for a terminal.
TEST(ConsoleOfAGuest, KeepsTheLastLinesWithoutControls) {
    Console console("");
    EXPECT_THAT(console.last_lines(3), HasSubstr("said nothing"));
    for (int i = 0; i < 100000; i++)
        for (const char byte : "line " + std::to_string(i) + "\r\n") console.put(byte);
    for (const char byte : std::string("\x1b[31mpanic\n")) console.put(byte);
    const std::string last = console.last_lines(2);
    EXPECT_THAT(last, AllOf(HasSubstr("line 99999"), EndsWith("[31mpanic"), Not(HasSubstr("\x1b"))));
    EXPECT_THAT(last, Not(HasSubstr("line 99998")));
    for (const char byte : std::string("\x9b[2J\xc2\x9b\xff\x7f\n")) console.put(byte);
    EXPECT_THAT(console.last_lines(1), EndsWith("\n  [2J")) << "nor controls of 8 bits, nor half a letter";
}

// And a disk is no more its own than memory is.
TEST(ConsoleOfAGuest, FillsAFileOnlySoFar) {
    constexpr std::size_t most = 50'000;
    const std::string file = testing::TempDir() + "console_of_a_guest";
    {
        Console console(file, most);
        for (std::size_t i = 0; i < 2 * most; i++) console.put('f');
        for (const char byte : std::string("\nend\n")) console.put(byte);
        EXPECT_THAT(console.last_lines(1), EndsWith("end"));
    }
    EXPECT_EQ(read_text(file), std::string(most, 'f') + "\n[this file has no room for more]\n");
    std::filesystem::remove(file);
}

}  // namespace
}  // namespace gpremap
