// The second process that cleans up: what it is told, and that it stays apart from the first.
#include "vmm/host/guardian.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace gpremap {
namespace {

class GuardianTest : public testing::Test {
  protected:
    ~GuardianTest() override {
        if (getpid() == process_) std::filesystem::remove(path_);  // a second one leaves what it has written
    }

    void write(const std::string& text) const { std::ofstream(path_, std::ios::app) << text << std::flush; }
    std::string written() const {
        std::ifstream file(path_);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    // Neither process has a descriptor of the other's.
    const pid_t process_ = getpid();
    const std::string path_ = testing::TempDir() + "guardian-" + std::to_string(getpid());
};

TEST_F(GuardianTest, IsToldWhetherItWasNotified) {
    auto note = [this](bool was_notified) { write(was_notified ? "notified " : "not "); };
    { const Guardian guardian(note); }
    {
        Guardian guardian(note);
        guardian.notify();
    }
    EXPECT_EQ(written(), "not notified ");
}

// It ends, and does not go on as a second one of this program.
TEST_F(GuardianTest, WhatItThrowsGetsNoFurther) {
    try {
        const Guardian guardian([](bool) { throw std::runtime_error("on purpose"); });
    } catch (const std::exception&) {
    }
    write("here");
    EXPECT_EQ(written(), "here");
}

}  // namespace
}  // namespace gpremap
