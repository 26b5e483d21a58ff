// The op that the bench's `stall` rests on: goes on writing wherever its range is, and gives up where it is
// not.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstddef>
#include <thread>

#include "tests/vmm/kvm_test.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/machine.h"

namespace gpremap {
namespace {

using abi::Call;
using abi::Pulse;

constexpr uint64_t pages = 16;
constexpr uint64_t here = base, there = base + gib;
constexpr uint64_t most_faults = 100;

class PulseTest : public KvmTestWith<Mechanism> {
  protected:
    void prepare() override {
        boot(config_of({GetParam(), Backing::automatic}, 2, 64 * gib));
        remap(Call::map, {here, pages * page, rw, 0});
    }

    void start(uint64_t words) {
        Pulse pulse = {};
        pulse.place[0] = here;
        pulse.place[1] = there;
        pulse.words = words;
        pulse.stride = page;
        ASSERT_TRUE(machine_->guest().write(layout::shared, &pulse, sizeof pulse));
        machine_->start(1, step(abi::Op::pulse, layout::shared, most_faults));
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
        for (uint64_t before = read().accesses; read().accesses - before <= pages;) std::this_thread::yield();
    }
};

INSTANTIATE_TEST_SUITE_P(Each, PulseTest, testing::Values(Mechanism::window, Mechanism::memslot),
                         name_of_mechanism);

TEST_P(PulseTest, FollowsItsRange) {
    start(pages);
    wait_for_a_round();
    EXPECT_EQ(read().faults, 0u);
    constexpr uint64_t moves = 10;
    for (uint64_t i = 0; i < moves; i++) {
        uint64_t from = i % 2 ? there : here, to = i % 2 ? here : there;
        ASSERT_EQ(remap(Call::move, {from, to, pages * page, 0}), static_cast<int64_t>(to));
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
    ASSERT_EQ(remap(Call::unmap, {here, pages * page}), 0);
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
