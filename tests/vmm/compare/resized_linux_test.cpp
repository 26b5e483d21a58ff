#include "vmm/compare/resized_linux.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <vector>

#include "vmm/base/errors.h"
#include "vmm/base/interruption.h"
#include "vmm/compare/gpremap_linux_guest.h"

namespace gpremap {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint64_t MiB = 1ull << 20, GiB = 1ull << 30;

Schedule schedule_of(uint64_t initial, std::vector<Resizing> resizings) {
    Schedule schedule;
    schedule.initial = initial;
    schedule.resizings = std::move(resizings);
    return schedule;
}

// A program that answers as it is told to, and notes what it is asked.
class Scripted final : public ResizedLinux {
  public:
    Scripted(const Schedule& schedule, Waiter& waiter, std::deque<std::string> answers)
        : ResizedLinux(Way::gpremap_linux, schedule, waiter), answers_(std::move(answers)) {}

    void boot() { settle(); }
    std::vector<std::string> asked;

  private:
    void send(const std::string& line) override { asked.push_back(line); }
    GuestChannel::Line receive() override {
        if (answers_.empty()) give_up("has nothing more to say");
        GuestChannel::Line line{answers_.front(), Clock::now()};
        answers_.pop_front();
        return line;
    }
    std::string last_words() override { return "; that was all"; }
    uint64_t host_bytes() override { return host_bytes_; }
    void change(const Resizing& resizing, Measured& measured) override {
        asked.push_back(resizing.grows() ? "(grows)" : "(shrinks)");
        host_bytes_ = resizing.to;
        measured.guest = 5;
        take_reached(measured);
    }

    std::deque<std::string> answers_;
    uint64_t host_bytes_ = 0;
};

class ResizedLinuxTest : public testing::Test {
  protected:
    Measured resize(Resizing resizing, std::deque<std::string> answers) {
        const Schedule schedule = schedule_of(resizing.from, {resizing});
        Scripted guest(schedule, waiter_, std::move(answers));
        const Measured measured = guest.resize(resizing);
        asked_ = guest.asked;
        return measured;
    }

    Interruption interruption_;
    Waiter waiter_{interruption_, std::chrono::duration<double>(60)};
    std::vector<std::string> asked_;
};

TEST_F(ResizedLinuxTest, AGrowIsWatchedTouchedAndVerified) {
    const Measured measured =
        resize({128 * MiB, 256 * MiB}, {"watching", "reached 70 8", "used 900", "right 134217728"});
    EXPECT_THAT(asked_, ElementsAre("await least 134217728", "(grows)", "use 134217728", "verify"));
    EXPECT_EQ(measured.lost, 70u);
    EXPECT_EQ(measured.pause, 8u);
    EXPECT_EQ(measured.guest, 5u);
    EXPECT_EQ(measured.install, 900u);
    EXPECT_EQ(measured.host_after - measured.host_before, 256 * MiB);
}

TEST_F(ResizedLinuxTest, BeforeAShrinkItGivesItsMemoryUp) {
    const Measured measured =
        resize({256 * MiB, 128 * MiB}, {"used 3", "watching", "reached 0 0", "right 0"});
    EXPECT_THAT(asked_, ElementsAre("use 0", HasSubstr("await most "), "(shrinks)", "verify"));
    EXPECT_FALSE(measured.install);
}

TEST_F(ResizedLinuxTest, MemoryThatIsNotAsItWasEndsIt) {
    try {
        resize({128 * MiB, 256 * MiB}, {"watching", "reached 70 8", "used 900", "wrong 0x7f1000"});
        FAIL() << "nothing was thrown";
    } catch (const GuestDied& error) {
        EXPECT_STREQ(error.what(),
                     "the guest (gpremap-linux) answered 'wrong 0x7f1000', expected right; that was all");
    }
    EXPECT_THROW(resize({128 * MiB, 256 * MiB}, {"watching", "reached soon"}), GuestDied);
}

TEST_F(ResizedLinuxTest, IsSettledWhenItsTotalStaysTheSame) {
    const Schedule schedule = schedule_of(256 * MiB, {{256 * MiB, 128 * MiB}});
    Scripted guest(schedule, waiter_,
                   {"total 1", "total 2", "total 2", "total 2", "total 2", "held 7", "used 9", "right 16"});
    guest.boot();
    // What Linux needs, and what is used above the least.
    EXPECT_THAT(guest.asked,
                ElementsAre("total", "total", "total", "total", "total",
                            "hold " + std::to_string(200 * MiB + 128 * MiB), "use 134217728", "verify"));
}

// ---- the machine of gpremap-linux ----

TEST(LinuxMachine, BootsWithTheLeastSizeAndTheSettings) {
    MachineConfig config;
    config.ring = true;
    config.linux_guest.append = "debug";
    const Schedule schedule = schedule_of(256 * MiB, {{256 * MiB, 128 * MiB}});
    const MachineConfig machine = linux_machine(config, schedule, {false, "online"});
    EXPECT_EQ(machine.guest, GuestKind::linux);
    EXPECT_EQ(machine.vcpus, 2u);
    EXPECT_FALSE(machine.ring);
    EXPECT_EQ(machine.linux_guest.memory, (384 + 256 / 16 + 128) * MiB);
    EXPECT_EQ(machine.linux_guest.append, "debug init_on_alloc=0 memhp_default_state=online");
    EXPECT_THAT(machine.linux_guest.add, ElementsAre(HasSubstr("baseline/resize_guest")));
}

TEST(LinuxMachine, CannotBootWithMoreThanALinuxGuestHas) {
    EXPECT_THROW(linux_machine({}, schedule_of(2 * GiB, {{2 * GiB, 4 * GiB}}), {}), ConfigError);
    EXPECT_NO_THROW(linux_machine({}, schedule_of(1 * GiB, {{1 * GiB, 4 * GiB}}), {}));
}

}  // namespace
}  // namespace gpremap
