// A long call, and two vCPUs that write meanwhile: one to the range in motion, which waits on its own fault
// and loses no write; one elsewhere, which never notices.
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <string>
#include <thread>

#include "tests/vmm/kvm_test.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

using abi::Arena;
using abi::Call;
using abi::Op;

constexpr uint64_t here = base, there = base + gib, elsewhere = base + 2 * gib;
constexpr unsigned in_motion = 1, apart = 2;  // vCPUs; the host makes the calls in the name of vCPU 0

class MotionTest : public KvmTestWith<Backing> {
  protected:
    std::string lack() const override { return lack_of(GetParam(), (size + size_elsewhere) / large); }
    void prepare() override {
        boot(config_of({Mechanism::window, GetParam()}, 3, 4 * gib));
        map_filled(elsewhere, size_elsewhere);
        map_filled(here, size);
    }

    void map_filled(uint64_t at, uint64_t bytes) {
        ASSERT_EQ(remap(Call::map, {at, bytes, rw, 0}), static_cast<int64_t>(at));
        perform(step(Op::fill, at, bytes, abi::Pattern::byte, 0));
    }

    // ---- the vCPUs that write, each in a range of its own: a place in each eighth of it ----

    static constexpr uint64_t arena_of(unsigned vcpu) {
        return layout::shared + (vcpu - 1) * layout::shared_size / 2;
    }
    static_assert(sizeof(Arena) <= layout::shared_size / 2);

    template <typename Value>
    void put(unsigned vcpu, uint64_t offset, const Value& value) {
        ASSERT_TRUE(machine_->guest().write(arena_of(vcpu) + offset, &value, sizeof value));
    }

    void place(unsigned vcpu, uint64_t at, uint64_t bytes) {
        for (uint64_t i = 0; i < Arena::ranges; i++) {
            uint64_t address = at + i * bytes / Arena::ranges;
            Arena::Range range = {{address, address}, 1, 0, 1};
            put(vcpu, offsetof(Arena, range) + i * sizeof range, range);
        }
    }

    void start(unsigned vcpu, uint64_t at, uint64_t bytes) {
        place(vcpu, at, bytes);
        machine_->start(vcpu, step(Op::hammer, arena_of(vcpu), 1'000'000));
        wait_for_progress(vcpu);
    }

    Performed finish(unsigned vcpu) {
        put(vcpu, offsetof(Arena, stop), uint64_t{1});
        Performed done = machine_->finish(vcpu);
        EXPECT_EQ(done.report.outcome, abi::Outcome::ok) << "vCPU " << vcpu;
        return done;
    }

    Arena::Tally tally(unsigned vcpu) const {
        Arena::Tally tally;
        EXPECT_TRUE(machine_->guest().read(arena_of(vcpu) + offsetof(Arena, tally) + vcpu * sizeof tally,
                                           &tally, sizeof tally));
        return tally;
    }

    void wait_for_progress(unsigned vcpu) {
        uint64_t before = tally(vcpu).operations;
        auto late = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (tally(vcpu).operations < before + 100) {
            ASSERT_LT(std::chrono::steady_clock::now(), late) << "vCPU " << vcpu << " does not go on";
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    void expect_counted(unsigned vcpu, uint64_t at, uint64_t bytes) {
        Arena::Tally counted = tally(vcpu);
        for (uint64_t i = 0; i < Arena::ranges; i++) {
            uint64_t words[Arena::kinds];
            uint64_t address = at + i * bytes / Arena::ranges + vcpu * Arena::words_bytes;
            ASSERT_EQ(machine_->vm().read_guest(address, std::as_writable_bytes(std::span(words))),
                      sizeof words);
            for (uint64_t kind = 0; kind < Arena::kinds; kind++)
                EXPECT_EQ(words[kind], counted.count[i][0][kind]) << "vCPU " << vcpu << ", word " << kind;
        }
    }

    // ---- the call ----

    struct Seen {
        uint64_t stall_ns = 0;        // of the vCPU in motion
        uint64_t done_elsewhere = 0;  // accesses of the other during the calls
        uint64_t copies = 0;          // ranges that were promoted
    };

    void make(Call number, std::array<uint64_t, 6> args, Seen& seen) {
        uint64_t before = tally(apart).operations;
        const Called called = machine_->call(number, args);
        ASSERT_GE(called.result, 0);
        seen.done_elsewhere += tally(apart).operations - before;
        const CallRecord& record = called.record;
        ASSERT_EQ(record.mechanism, Mechanism::window);
        EXPECT_EQ(record.stall_ns[apart], 0u);
        seen.stall_ns = std::max(seen.stall_ns, record.stall_ns[in_motion]);
        seen.copies += record.syscalls.copies;
    }

    // Whether a vCPU comes to run during one call is the scheduler's business: so there are several.
    static constexpr int most_calls = 5000;
    static bool is_enough(const Seen& seen) { return seen.stall_ns > 0 && seen.done_elsewhere > 0; }

    void expect(const Seen& seen, uint64_t ended_at) {
        finish(in_motion);
        Performed undisturbed = finish(apart);
        EXPECT_GT(seen.stall_ns, 0u) << "the vCPU in motion has waited";
        EXPECT_GT(seen.done_elsewhere, 0u) << "the other went on during the call";
        EXPECT_EQ(undisturbed.retries, 0u);
        EXPECT_EQ(tally(apart).faults, 0u);
        expect_counted(in_motion, ended_at, size);
        expect_counted(apart, elsewhere, size_elsewhere);
        std::cout << "longest wait " << seen.stall_ns / 1000 << " us; " << seen.done_elsewhere
                  << " accesses elsewhere during the calls" << std::endl;
    }

    // Of the range in motion. Small pages make a move long, and those of the host's pool are few.
    const uint64_t size = GetParam() == Backing::anon ? 256 * mib : 64 * mib;
    static constexpr uint64_t size_elsewhere = large;
};

TEST_P(MotionTest, WaitsWhileTheRangeMoves) {
    start(in_motion, here, size);
    start(apart, elsewhere, size_elsewhere);
    Seen seen;
    uint64_t from = here, to = there;
    for (int calls = 0; calls < most_calls && !is_enough(seen); calls++) {
        ASSERT_NO_FATAL_FAILURE(make(Call::move, {from, to, size, 0}, seen));
        std::swap(from, to);
        place(in_motion, from, size);
        wait_for_progress(in_motion);
    }
    expect(seen, from);
}

class PromotionTest : public MotionTest {};

// The first alias of anonymous memory copies it, behind the back of whoever writes to it.
TEST_P(PromotionTest, WaitsWhileTheRangeIsCopied) {
    start(in_motion, here, size);
    start(apart, elsewhere, size_elsewhere);
    Seen seen;
    ASSERT_NO_FATAL_FAILURE(make(Call::alias, {here, there, size, rw, 0}, seen));
    EXPECT_EQ(seen.copies, 1u);
    wait_for_progress(in_motion);
    expect(seen, here);
    expect_counted(in_motion, there, size);
}

// Calls that put new memory in place of what a vCPU writes to, and then fail.
class UndoneTest : public MotionTest {
  protected:
    // The second half is copy-on-write.
    void lay_out(uint64_t at) {
        remap(Call::linux_munmap, {at, small});
        remap(Call::linux_munmap, {copy_of(at), small});
        map_filled(at, small);
        ASSERT_GE(remap(Call::snapshot, {at + small / 2, copy_of(at), small / 2, rw, 0}), 0);
    }
    static constexpr uint64_t copy_of(uint64_t at) { return at + 64 * mib; }

    int64_t replace(size_t which, uint64_t at) {
        switch (which) {
            case 0:
                return remap(Call::release, {at, small});
            case 1:
                return remap(Call::linux_mmap, {at, small, rw,
                                                GPREMAP_LINUX_MAP_PRIVATE | GPREMAP_LINUX_MAP_ANONYMOUS |
                                                    GPREMAP_LINUX_MAP_FIXED});
            default:
                return remap(Call::linux_mremap, {at, small, small,
                                                  GPREMAP_LINUX_MREMAP_MAYMOVE | GPREMAP_LINUX_MREMAP_FIXED |
                                                      GPREMAP_LINUX_MREMAP_DONTUNMAP,
                                                  at + 128 * mib});
        }
    }
    static constexpr size_t calls = 3;

    // How many of its host calls can fail.
    uint64_t points_of(size_t which) {
        for (uint64_t point = 0;; point++) {
            lay_out(twin);
            machine_->remapper().fail_host_call(point);
            if (replace(which, twin) >= 0) return point;
        }
    }

    static constexpr uint64_t small = 8 * mib, range = there, twin = base + 3 * gib;
};

TEST_P(UndoneTest, LosesNoWriteEither) {
    std::array<uint64_t, calls> points;
    for (size_t which = 0; which < calls; which++) points[which] = points_of(which);
    lay_out(range);
    start(in_motion, range, small);
    for (int round = 0; round < 10; round++) {
        for (size_t which = 0; which < calls; which++)
            for (uint64_t point = 0; point < points[which]; point++) {
                machine_->remapper().fail_host_call(point);
                ASSERT_EQ(replace(which, range), -ENOMEM) << "call " << which << ", point " << point;
            }
        wait_for_progress(in_motion);
    }
    finish(in_motion);
    expect_counted(in_motion, range, small);
}

INSTANTIATE_TEST_SUITE_P(Backings, MotionTest, testing::ValuesIn(backings), name_of_backing);
INSTANTIATE_TEST_SUITE_P(Backings, PromotionTest, testing::Values(Backing::anon), name_of_backing);
INSTANTIATE_TEST_SUITE_P(Backings, UndoneTest, testing::Values(Backing::anon, Backing::memfd),
                         name_of_backing);

}  // namespace
}  // namespace gpremap
