// Calls through the ring: that they are the calls, take no exit, and that nothing which the guest writes there harms
// anybody. In the second half this thread writes what a vCPU would.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include "guest/runtime/ring.h"
#include "tests/vmm/kvm_test.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

using abi::Call;

constexpr uint64_t size = 16 * page;
constexpr auto longest_wait = std::chrono::seconds(20);

class CallRingsTest : public KvmTestWith<Mechanism> {
  protected:
    void boot_with(bool ring) {
        MachineConfig config = config_of({GetParam(), Backing::automatic}, 2, 64 * gib);
        config.ring = ring;
        boot(config);
    }
};

INSTANTIATE_TEST_SUITE_P(Each, CallRingsTest, testing::Values(Mechanism::window, Mechanism::memslot),
                         name_of_mechanism);

TEST_P(CallRingsTest, AreTheSameCalls) {
    boot_with(true);
    Performed mapped = perform(call(Call::map, base, size, rw));  // sets the ring up
    EXPECT_EQ(mapped.report.result, static_cast<int64_t>(base));
    EXPECT_EQ(mapped.call.value().bytes, size);
    EXPECT_EQ(perform(step(abi::Op::fill, base, size, abi::Pattern::stamp, 7)).report.outcome,
              abi::Outcome::ok);
    for (uint64_t i = 0; i < 20; ++i) {
        uint64_t from = i % 2 ? base + gib : base, to = i % 2 ? base : base + gib;
        Performed moved = perform(call(Call::move, from, to, size, 0));
        EXPECT_EQ(moved.report.result, static_cast<int64_t>(to));
        EXPECT_TRUE(moved.call.value().moved);
        EXPECT_GT(moved.call.value().call_ns, 0u);
    }
    EXPECT_EQ(perform(step(abi::Op::verify, base, size, abi::Pattern::stamp, 7)).report.outcome,
              abi::Outcome::ok);
    EXPECT_EQ(perform(call(Call::unmap, base + gib, size)).report.result, -EFAULT);
    EXPECT_EQ(perform(call(static_cast<Call>(0x999))).report.result, -ENOSYS);
}

TEST_P(CallRingsTest, OfSeveralVcpusAreApart) {
    boot_with(true);
    for (uint64_t i = 0; i < 50; ++i) {
        for (unsigned vcpu : {0u, 1u})
            machine_->start(vcpu, call(Call::map, base + (2 * i + vcpu) * size, size, rw));
        for (unsigned vcpu : {0u, 1u})
            EXPECT_EQ(machine_->finish(vcpu).report.result,
                      static_cast<int64_t>(base + (2 * i + vcpu) * size));
    }
}

TEST_P(CallRingsTest, AreRefusedWhereThereAreNone) {
    boot_with(false);
    EXPECT_EQ(perform(call(Call::ring, layout::shared)).report.result, -ENOSYS);
    EXPECT_EQ(perform(call(Call::ring_bell)).report.result, -ENOSYS);
}

// A vCPU's, written by this thread.
class RingOfVcpu : public CallRingsTest {
  protected:
    void prepare() override {
        boot_with(true);
        ring_ = reinterpret_cast<gpremap_ring*>(
            machine_->guest().own_memory(layout::shared, sizeof(gpremap_ring)));
        set_up();
    }

    void set_up() {
        *ring_ = {};
        ASSERT_EQ(perform(call(Call::ring, layout::shared)).report.result, 0);
    }

    // What gpremap_ring_submit does, but for the bell, which a vCPU rings.
    void submit(const std::vector<gpremap_ring_call>& calls) {
        for (uint32_t i = 0; i < calls.size(); ++i)
            ring_->call[(ring_->submitted + i) % GPREMAP_RING_ENTRIES] = calls[i];
        submit(static_cast<uint32_t>(calls.size()));
    }
    void submit(uint32_t count) {
        __atomic_store_n(&ring_->submitted, ring_->submitted + count, __ATOMIC_SEQ_CST);
        perform(call(Call::ring_bell));
    }

    gpremap_ring_result collect() {
        gpremap_ring_result result = {};
        const auto end = std::chrono::steady_clock::now() + longest_wait;
        while (!gpremap_ring_collect(ring_, &result)) {
            if (std::chrono::steady_clock::now() > end) {
                ADD_FAILURE() << "no result comes";
                return result;
            }
            std::this_thread::yield();
        }
        return result;
    }

    void expect_state(uint32_t state) {
        const auto end = std::chrono::steady_clock::now() + longest_wait;
        while (__atomic_load_n(&ring_->state, __ATOMIC_ACQUIRE) != state) {
            ASSERT_LT(std::chrono::steady_clock::now(), end) << "state " << ring_->state;
            std::this_thread::yield();
        }
    }

    static gpremap_ring_call ring_call(uint64_t tag, Call number, std::array<uint64_t, 6> args,
                                       uint64_t flags = 0) {
        gpremap_ring_call made = {static_cast<uint64_t>(number), {}, flags, tag};
        std::copy(args.begin(), args.end(), made.arg);
        return made;
    }
    static gpremap_ring_call map_call(uint64_t index, uint64_t flags = 0) {
        return ring_call(100 + index, Call::map, {base + index * gib, size, rw, 0}, flags);
    }

    size_t extents() const { return machine_->remapper().map().size(); }

    gpremap_ring* ring_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Each, RingOfVcpu, testing::Values(Mechanism::window, Mechanism::memslot),
                         name_of_mechanism);

TEST_P(RingOfVcpu, HasAResultForEachCallInTheirOrder) {
    for (int round = 0; round < 5; ++round) {
        std::vector<gpremap_ring_call> calls;
        for (uint64_t i = 0; i < GPREMAP_RING_ENTRIES; ++i)
            calls.push_back(i % 2 ? ring_call(i, Call::unmap, {base + i / 2 * gib, size})
                                  : ring_call(i, Call::map, {base + i / 2 * gib, size, rw, 0}));
        submit(calls);
        for (uint64_t i = 0; i < GPREMAP_RING_ENTRIES; ++i) {
            gpremap_ring_result result = collect();
            EXPECT_EQ(result.tag, i);
            EXPECT_EQ(result.result, i % 2 ? 0 : static_cast<int64_t>(base + i / 2 * gib));
        }
    }
    EXPECT_EQ(extents(), 0u);
}

TEST_P(RingOfVcpu, MakesLinkedCallsAllOrNone) {
    submit({map_call(0, GPREMAP_RING_LINKED), map_call(1, GPREMAP_RING_LINKED), map_call(0)});
    for (int i = 0; i < 3; ++i) EXPECT_EQ(collect().result, -EEXIST);
    EXPECT_EQ(extents(), 0u);
    submit({map_call(0, GPREMAP_RING_LINKED), map_call(1)});
    for (uint64_t i = 0; i < 2; ++i) EXPECT_EQ(collect().result, static_cast<int64_t>(base + i * gib));
    EXPECT_EQ(extents(), 2u);
}

TEST_P(RingOfVcpu, WaitsForTheEndOfABatch) {
    submit({map_call(0, GPREMAP_RING_LINKED)});
    expect_state(GPREMAP_RING_ASLEEP);
    EXPECT_EQ(ring_->completed, 0u);
    EXPECT_EQ(extents(), 0u);
    submit({map_call(1)});
    EXPECT_EQ(collect().tag, 100u);
    EXPECT_EQ(collect().tag, 101u);
    EXPECT_EQ(extents(), 2u);
}

TEST_P(RingOfVcpu, WaitsForRoomForResults) {
    std::vector<gpremap_ring_call> calls(GPREMAP_RING_ENTRIES, ring_call(0, Call::protect, {base, size, rw}));
    submit(calls);
    expect_state(GPREMAP_RING_ASLEEP);
    submit(calls);
    expect_state(GPREMAP_RING_ASLEEP);
    EXPECT_EQ(ring_->completed, uint32_t{GPREMAP_RING_ENTRIES});
    for (int i = 0; i < GPREMAP_RING_ENTRIES; ++i) collect();
    perform(call(Call::ring_bell));
    for (int i = 0; i < GPREMAP_RING_ENTRIES; ++i) EXPECT_EQ(collect().result, -EFAULT);
}

TEST_P(RingOfVcpu, BreaksWhereCountersMakeNoSense) {
    submit(GPREMAP_RING_ENTRIES + 1);
    expect_state(GPREMAP_RING_BROKEN);
    set_up();
    ring_->collected = 5;
    submit({map_call(0)});
    expect_state(GPREMAP_RING_BROKEN);
    set_up();
    std::vector<gpremap_ring_call> endless(GPREMAP_RING_ENTRIES, map_call(0, GPREMAP_RING_LINKED));
    submit(endless);
    expect_state(GPREMAP_RING_BROKEN);
    EXPECT_EQ(extents(), 0u);
    // The ring of the other vCPU, and this one anew.
    EXPECT_EQ(perform(call(Call::map, base, size, rw), 1).report.result, static_cast<int64_t>(base));
    set_up();
    submit({map_call(1)});
    EXPECT_EQ(collect().result, static_cast<int64_t>(base + gib));
}

TEST_P(RingOfVcpu, LiesInTheGuestsOwnMemory) {
    for (uint64_t address : {base, uint64_t{abi::agent_size} - 64, uint64_t{abi::agent_size}, ~uint64_t{63}})
        EXPECT_EQ(perform(call(Call::ring, address)).report.result, -EFAULT) << address;
    EXPECT_EQ(perform(call(Call::ring, layout::shared + 8)).report.result, -EINVAL);
}

// Whatever number: control calls are for exits.
TEST_P(RingOfVcpu, HasNoCallsThatRemapNothing) {
    for (Call number :
         {Call::hello, Call::next, Call::done, Call::unhandled, Call::ring, static_cast<Call>(~0ull)}) {
        submit({ring_call(1, number, {})});
        EXPECT_EQ(collect().result, -ENOSYS) << static_cast<uint64_t>(number);
    }
}

// Of one that flushes no TLB: for a flush, the vCPU that waits is thrown out of guest mode as others are. It may find the
// thread asleep now and then, and waking it is an exit.
TEST_P(RingOfVcpu, TakesNoExit) {
    if (GetParam() == Mechanism::memslot)
        GTEST_SKIP() << "its calls pause the vCPUs, the one that waits, too";
    auto least_exits = [&] {
        perform(call(Call::map, base, size, rw));
        uint64_t least = ~0ull;
        for (int i = 0; i < 100; ++i)
            least = std::min(least, perform(call(Call::protect, base, size, rw)).kvm.exits);
        return least;
    };
    uint64_t by_ring = ~0ull, by_exit = ~0ull;
    // Where each call of a round met a tick of the host's timer, another round is better. The least cannot get below what is taken.
    for (int round = 0; round < 20 && by_ring + 1 != by_exit; round++) {
        boot_with(true);
        by_ring = std::min(by_ring, least_exits());
        boot_with(false);
        by_exit = std::min(by_exit, least_exits());
    }
    EXPECT_EQ(by_ring + 1, by_exit);
}

// This thread writes to the entries without a break while the host makes them.
TEST_P(RingOfVcpu, MayBeRewrittenMeanwhile) {
    std::atomic<bool> stops = false;
    std::thread rewriting([&] {
        for (uint64_t i = 0; !stops; ++i) {
            gpremap_ring_call& entry = ring_->call[i % GPREMAP_RING_ENTRIES];
            entry.number = i % 3 ? static_cast<uint64_t>(Call::map) : i;
            entry.arg[0] = base + i % 7 * gib;
            entry.flags = i % 5 == 0;
        }
    });
    for (int round = 0; round < 200; ++round) {
        if (__atomic_load_n(&ring_->state, __ATOMIC_ACQUIRE) == GPREMAP_RING_BROKEN) set_up();
        submit(GPREMAP_RING_ENTRIES / 4);
        gpremap_ring_result result;
        while (gpremap_ring_collect(ring_, &result)) {
        }
    }
    stops = true;
    rewriting.join();
    EXPECT_GE(perform(call(Call::map, base + 20 * gib, size, rw), 1).report.result, 0);
}

}  // namespace
}  // namespace gpremap
