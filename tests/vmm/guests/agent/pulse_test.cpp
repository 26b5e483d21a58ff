// The op that the bench's `stall` rests on: goes on writing wherever its range is, and gives up where it is
// not.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <thread>

#include "vmm/base/errors.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/machine.h"

namespace gpremap {
namespace {

using abi::Call;
using abi::Pulse;

constexpr uint64_t page = 4096;
constexpr uint64_t pages = 16;
constexpr uint64_t here = 4ull << 30, there = 5ull << 30;
constexpr uint64_t most_faults = 100;

class PulseTest : public testing::TestWithParam<Mechanism> {
  protected:
    void SetUp() override {
        try {
            Kvm kvm;
        } catch (const HostLacks& lack) {
            GTEST_SKIP() << lack.what();
        }
        MachineConfig config;
        config.vcpus = 2;
        config.memory.mechanism = GetParam();
        machine_ = std::make_unique<Machine>(config);
        machine_->call(Call::map,
                                  {here, pages * page, GPREMAP_PROT_READ | GPREMAP_PROT_WRITE, 0});
    }

    void start(uint64_t words) {
        Pulse pulse = {};
        pulse.place[0] = here;
        pulse.place[1] = there;
        pulse.words = words;
        pulse.stride = page;
        ASSERT_TRUE(machine_->guest().write(layout::shared, &pulse, sizeof pulse));
        abi::Step step = {};
        step.op = abi::Op::pulse;
        step.arg[0] = layout::shared;
        step.arg[1] = most_faults;
        machine_->start(1, step);
    }

    abi::Report stop() {
        uint64_t yes = 1;
        EXPECT_TRUE(machine_->guest().write(layout::shared + offsetof(Pulse, stop), &yes, sizeof yes));
        return machine_->finish(1).report;
    }

    Pulse read() const {
        Pulse pulse;
        EXPECT_TRUE(machine_->guest().read(layout::shared, &pulse, sizeof pulse));
        return pulse;
    }

    void wait_for_a_round() const {
        for (uint64_t before = read().writes; read().writes - before <= pages;) std::this_thread::yield();
    }

    int64_t call(Call number, std::array<uint64_t, 6> args) { return machine_->call(number, args).result; }

    std::unique_ptr<Machine> machine_;
};

INSTANTIATE_TEST_SUITE_P(Each, PulseTest, testing::Values(Mechanism::window, Mechanism::memslot),
                         [](const auto& of) { return of.param == Mechanism::window ? "window" : "memslot"; });

TEST_P(PulseTest, FollowsItsRange) {
    start(pages);
    wait_for_a_round();
    EXPECT_EQ(read().faults, 0u);
    constexpr uint64_t moves = 10;
    for (uint64_t i = 0; i < moves; i++) {
        uint64_t from = i % 2 ? there : here, to = i % 2 ? here : there;
        ASSERT_EQ(call(Call::move, {from, to, pages * page, 0}), static_cast<int64_t>(to));
        wait_for_a_round();
        EXPECT_EQ(read().here, i % 2 ? 0u : 1u);
    }
    abi::Report report = stop();
    EXPECT_EQ(report.outcome, abi::Outcome::ok);
    EXPECT_GE(read().faults, moves);
    EXPECT_EQ(report.result, static_cast<int64_t>(read().longest));
    EXPECT_GT(report.result, 0);
    EXPECT_LE(static_cast<uint64_t>(report.result), report.tsc_end - report.tsc_begin);
}

TEST_P(PulseTest, GivesUpWhereItsRangeIsNowhere) {
    start(pages);
    wait_for_a_round();
    ASSERT_EQ(call(Call::unmap, {here, pages * page}), 0);
    abi::Report report = machine_->finish(1).report;
    EXPECT_EQ(report.outcome, abi::Outcome::fault);
    EXPECT_EQ(read().faults_in_a_row, most_faults + 1);
}

TEST_P(PulseTest, WithoutWordsDoesNothing) {
    start(0);
    abi::Report report = machine_->finish(1).report;
    EXPECT_EQ(report.outcome, abi::Outcome::ok);
    EXPECT_EQ(report.result, -EINVAL);
}

}  // namespace
}  // namespace gpremap
