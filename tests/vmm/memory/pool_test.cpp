// The warm pool under a VM: what its guest sees, and where the memory is.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/vmm/kvm_test.h"
#include "tests/vmm/memory/failing_allocations.h"

namespace gpremap {
namespace {

using abi::Call;

constexpr uint64_t huge = 2ull << 20;
constexpr uint64_t far = base + (1ull << 30);
constexpr uint64_t capacity = 16 * huge;

class PoolTest : public KvmTestWith<Variant> {
  protected:
    std::string lack() const override { return lack_of(std::get<Backing>(GetParam()), 64); }

    void boot(PoolCleaner cleaner, unsigned vcpus = 1) {
        MachineConfig config = config_of(GetParam(), vcpus, 4 * gib);
        granule = config.memory.granule;
        config.memory.pool = capacity;
        config.memory.pool_cleaner = cleaner;
        KvmTest::boot(config);
    }

    Performed perform(unsigned vcpu, abi::Op op, const std::array<uint64_t, 5>& args) {
        abi::Step step{};
        step.op = op;
        std::copy(args.begin(), args.end(), step.arg);
        return machine_->perform(vcpu, step);
    }
    PoolCounts call(Call number, uint64_t a, uint64_t b, uint64_t c = 0, uint64_t d = 0) {
        Performed done = perform(0, abi::Op::call, {static_cast<uint64_t>(number), a, b, c, d});
        EXPECT_GE(done.report.result, 0);
        return done.call->pool;
    }
    void fill(uint64_t at, uint64_t size, char letter) {
        EXPECT_EQ(perform(0, abi::Op::fill, {at, size, 0, static_cast<uint64_t>(letter)}).report.outcome,
                  abi::Outcome::ok);
    }
    void expect_zero(uint64_t at, uint64_t size) {
        EXPECT_EQ(perform(0, abi::Op::verify, {at, size, 0, 0}).report.outcome, abi::Outcome::ok);
    }
    void wait_until_clean() {
        while (machine_->remapper().pool().unclean > 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }

    uint64_t granule = 0;
};

TEST_P(PoolTest, MemoryGoesThereAndComesBackZeroed) {
    using Clock = std::chrono::steady_clock;
    Clock::time_point begin;
    uint64_t resident = 0, given = 0;
    int tries = 0;
    // The cleaner refills a pool that has been left alone for a second: then there is no room, and it begins anew.
    do {
        boot(PoolCleaner::runs);
        begin = Clock::now();
        EXPECT_EQ(call(Call::map, base, capacity, rw).taken, capacity);
        EXPECT_EQ(machine_->remapper().resident_bytes(), capacity);
        resident = machine_->remapper().pool().resident;
        expect_zero(base, capacity);
        fill(base, capacity, 'x');
        given = call(Call::shrink, base, capacity, 2 * huge).given;
    } while (Clock::now() - begin > std::chrono::milliseconds(900) && ++tries < 20);
    EXPECT_EQ(resident, 0u);
    EXPECT_EQ(given, capacity - 2 * huge);
    EXPECT_EQ(machine_->remapper().resident_bytes(), 2 * huge);
    wait_until_clean();
    EXPECT_EQ(call(Call::grow, base, 2 * huge, capacity).taken, capacity - 2 * huge);
    expect_zero(base + 2 * huge, capacity - 2 * huge);
}

TEST_P(PoolTest, WithoutACleanerNothingComesBack) {
    boot(PoolCleaner::absent);
    EXPECT_EQ(call(Call::map, base, capacity, rw).taken, capacity);
    fill(base, capacity, 'x');
    EXPECT_EQ(call(Call::unmap, base, capacity).given, capacity);
    EXPECT_EQ(call(Call::map, far, capacity, rw).taken, 0u);
    expect_zero(far, capacity);
    EXPECT_EQ(machine_->remapper().pool().unclean, capacity);
}

TEST_P(PoolTest, ReleaseGivesAndReadsZero) {
    boot(PoolCleaner::absent);
    call(Call::map, base, capacity, rw);
    fill(base, capacity, 'x');
    EXPECT_EQ(call(Call::release, base + granule, capacity - granule).given, capacity - huge);
    expect_zero(base + granule, capacity - granule);
    fill(base, capacity, 'y');
}

// Before Linux 6.17 such a range takes a system call for each mapping.
TEST_P(PoolTest, WhatIsOfSeveralMappingsGoesThere) {
    for (Call number : {Call::release, Call::unmap}) {
        boot(PoolCleaner::absent);
        call(Call::map, base, 4 * huge, rw);
        call(Call::map, far, 4 * huge, rw);
        call(Call::move, far, base + 4 * huge, 4 * huge);
        fill(base, 8 * huge, 'x');
        EXPECT_EQ(call(number, base, 8 * huge).given, 8 * huge);
    }
}

// Pages that others can see do not go to the pool.
TEST_P(PoolTest, OnlyWhatNobodyElseSeesGoesThere) {
    boot(PoolCleaner::absent);
    call(Call::map, base, 8 * huge, rw);
    call(Call::map, base + 8 * huge, 4 * huge, rw);
    fill(base, 12 * huge, 'x');
    call(Call::alias, base + 2 * huge, far, 4 * huge, rw);
    EXPECT_EQ(call(Call::unmap, base, 12 * huge).given, 8 * huge);
    EXPECT_EQ(perform(0, abi::Op::verify, {far, 4 * huge, 0, 'x'}).report.outcome, abi::Outcome::ok);
}

TEST_P(PoolTest, MoreThanItHasIsFresh) {
    boot(PoolCleaner::absent);
    EXPECT_EQ(call(Call::map, base + granule, capacity + 4 * huge, rw).taken, capacity);
    expect_zero(base + granule, capacity + 4 * huge);
    EXPECT_EQ(call(Call::move, base + granule, far + granule, capacity + 4 * huge).taken, 0u);
    expect_zero(far + granule, capacity + 4 * huge);
}

// One vCPU grows, writes and shrinks; another watches a range that was never written.
TEST_P(PoolTest, NoOldBytesWhileOthersRun) {
    boot(PoolCleaner::runs, 2);
    call(Call::map, base, 2 * huge, rw);
    call(Call::map, far, 4 * huge, rw);
    uint64_t taken = 0;
    for (unsigned round = 0; round < 40 || taken == 0; round++) {
        abi::Step watch{};
        watch.op = abi::Op::verify;
        watch.arg[0] = far;
        watch.arg[1] = 4 * huge;
        machine_->start(1, watch);
        uint64_t size = (3 + round % 7) * huge;
        taken += call(Call::grow, base, 2 * huge, size).taken;
        expect_zero(base + 2 * huge, size - 2 * huge);
        fill(base + 2 * huge, size - 2 * huge, 'o');
        call(Call::shrink, base, size, 2 * huge);
        ASSERT_EQ(machine_->finish(1).report.outcome, abi::Outcome::ok);
        ASSERT_FALSE(HasFailure()) << "round " << round;
    }
}

// ---- all or nothing ----

struct Trial {
    const char* name;
    Call number;
    std::array<uint64_t, 6> args;
};

// The picture before each:  xxxxoooo|yyyy....   in pages of 2 MiB; o is of the backing object, and far shows it, too.
const Trial trials[] = {
    {"map", Call::map, {base + 12 * huge, 3 * huge, rw}},
    {"map over all", Call::map, {base, 12 * huge, rw, GPREMAP_FLAG_REPLACE}},
    {"linux mmap over a part",
     Call::linux_mmap,
     {base + huge, 9 * huge, rw,
      GPREMAP_LINUX_MAP_PRIVATE | GPREMAP_LINUX_MAP_ANONYMOUS | GPREMAP_LINUX_MAP_FIXED}},
    {"unmap", Call::unmap, {base, 12 * huge}},
    {"unmap unaligned", Call::unmap, {base + 4096, 3 * huge}},
    {"shrink", Call::shrink, {base + 8 * huge, 4 * huge, 4096}},
    {"release", Call::release, {base, 4 * huge}},
    {"release all", Call::release, {base, 12 * huge}},
    {"grow", Call::grow, {base + 8 * huge, 4 * huge, 7 * huge}},
    {"grow that moves", Call::grow, {base, 4 * huge, 8 * huge, GPREMAP_FLAG_MAY_MOVE}},
    {"move over something", Call::move, {base, base + 8 * huge, 4 * huge, GPREMAP_FLAG_REPLACE}},
};

class PoolAtomicityTest : public PoolTest {
  protected:
    // Those that the granule allows.
    static std::vector<Trial> trials_here() {
        std::vector<Trial> here;
        const uint64_t least = granule_of(std::get<Backing>(GetParam()));
        std::ranges::copy_if(trials, std::back_inserter(here), [&](const Trial& trial) {
            return trial.args[0] % least == 0 && trial.args[1] % least == 0 &&
                   (trial.args[2] % least == 0 || trial.args[2] == rw);
        });
        return here;
    }

    void draw() {
        boot(PoolCleaner::absent);
        call(Call::map, base, 8 * huge, rw);
        call(Call::map, base + 8 * huge, 4 * huge, rw);
        fill(base, 4 * huge, 'x');
        fill(base + 4 * huge, 4 * huge, 'o');
        fill(base + 8 * huge, 4 * huge, 'y');
        call(Call::alias, base + 4 * huge, far, 4 * huge, rw);
    }

    void expect_bytes(uint64_t at, char letter) {
        EXPECT_EQ(
            perform(0, abi::Op::verify, {at, 4 * huge, 0, static_cast<uint64_t>(letter)}).report.outcome,
            abi::Outcome::ok);
    }
    void expect_unchanged() {
        expect_bytes(base, 'x');
        expect_bytes(base + 4 * huge, 'o');
        expect_bytes(base + 8 * huge, 'y');
        expect_bytes(far, 'o');
        EXPECT_EQ(machine_->remapper().resident_bytes(), 12 * huge);
        const PoolContents pool = machine_->remapper().pool();
        EXPECT_LE(pool.ready + pool.unclean, capacity);
    }

    // Lets the call fail at each point in turn. A pool that the host refuses is no failure: the call then
    // does without. So success does not mean that all points have been seen; `seen_all` does.
    void fail_everywhere(const Trial& trial, const std::function<void(uint64_t)>& arm,
                         const std::function<bool(uint64_t, const CallRecord&)>& seen_all) {
        draw();
        for (uint64_t point = 0;; point++) {
            SCOPED_TRACE(std::string(trial.name) + ", failure at point " + std::to_string(point));
            arm(point);
            const Called called = machine_->call(trial.number, trial.args);
            bool last = seen_all(point, called.record);
            if (called.result >= 0) {
                if (last) return;
                draw();
                continue;
            }
            EXPECT_EQ(called.result, -ENOMEM);
            expect_unchanged();
            if (HasFailure()) return;
        }
    }
};

TEST_P(PoolAtomicityTest, SystemCallsThatFail) {
    for (const Trial& trial : trials_here())
        fail_everywhere(
            trial, [&](uint64_t point) { machine_->remapper().fail_host_call(point); },
            [](uint64_t point, const CallRecord& record) {
                const SyscallCounts& made = record.syscalls;
                return made.total() + made.copies <= point;
            });
}

TEST_P(PoolAtomicityTest, AllocationsThatFail) {
    for (const Trial& trial : trials_here())
        fail_everywhere(
            trial, [](uint64_t point) { allocations_left = static_cast<int64_t>(point); },
            [](uint64_t, const CallRecord&) { return std::exchange(allocations_left, -1) >= 0; });
}

// Memory that a grow took from the pool and lost again has been the guest's.
TEST_P(PoolAtomicityTest, WhatAFailedCallTookIsZeroedAgain) {
    draw();
    uint64_t before = machine_->remapper().pool().ready;
    machine_->remapper().set_limits(1ull << 30, 1ull << 30, 30000);
    machine_->remapper().fail_host_call(1);
    int64_t result = machine_->call(Call::map, {base + 12 * huge, 3 * huge + granule, rw}).result;
    EXPECT_EQ(result, -ENOMEM);
    const PoolContents pool = machine_->remapper().pool();
    EXPECT_EQ(pool.ready + pool.unclean, before);
    expect_unchanged();
}

const auto all = testing::Values(
    Variant{Mechanism::window, Backing::anon}, Variant{Mechanism::memslot, Backing::anon},
    Variant{Mechanism::automatic, Backing::automatic}, Variant{Mechanism::window, Backing::memfd},
    Variant{Mechanism::memslot, Backing::memfd}, Variant{Mechanism::window, Backing::hugetlb_2m},
    Variant{Mechanism::memslot, Backing::hugetlb_2m});
std::string name_of_any(const testing::TestParamInfo<Variant>& info) {
    return std::get<Mechanism>(info.param) == Mechanism::automatic ? "automatic" : name_of(info.param);
}
INSTANTIATE_TEST_SUITE_P(Variants, PoolTest, all, name_of_any);
INSTANTIATE_TEST_SUITE_P(Variants, PoolAtomicityTest, all, name_of_any);

}  // namespace
}  // namespace gpremap
