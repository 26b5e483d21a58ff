// How often the kernel makes another processor flush its TLB while a call changes memory: what is planned is held
// against the kernel's own record, and so is that a pause saves it. With one vCPU that runs beside the one that calls.
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <thread>

#include "tests/vmm/kvm/kernel_events.h"
#include "tests/vmm/kvm_test.h"
#include "vmm/guests/agent/world.h"

namespace gpremap {
namespace {

using abi::Call;
using abi::Pulse;

// A call to other processors, asked for by the thread of vCPU 0.
bool is_of_caller(const std::string& line) {
    return line.find("vcpu0-") != std::string::npos && line.find("remote ipi send") != std::string::npos;
}

class TlbFlushTest : public KvmTest {
  protected:
    std::string lack() const override {
        if (std::string lack = lack_of_kvm(); !lack.empty()) return lack;
        if (std::thread::hardware_concurrency() < 2) return "needs two processors";
        if (flushes_.works()) return "";
        return "the kernel's trace points of TLB flushes cannot be used: run as root, with tracefs mounted "
               "at "
               "/sys/kernel/tracing";
    }

    void boot_with(Pause pause, Backing backing = Backing::anon) {
        MachineConfig config = config_of({Mechanism::window, backing}, 2, 64 * gib);
        config.memory.pause = pause;
        boot(config);
        perform(call(Call::map, elsewhere, large, rw));
        for (uint64_t at : {base, base + 16 * gib}) {
            perform(call(Call::map, at, size, rw));
            perform(step(abi::Op::touch, at, size, 1, page));
        }
    }

    // Of vCPU 0, while vCPU 1 writes elsewhere.
    Performed beside_writer(const abi::Step& made) {
        Pulse pulse = {};
        pulse.place[0] = pulse.place[1] = elsewhere;
        pulse.words = large / page;
        pulse.stride = page;
        EXPECT_TRUE(machine_->guest().write(layout::shared, &pulse, sizeof pulse));
        machine_->start(1, step(abi::Op::pulse, layout::shared, 100));
        wait_for_a_round();
        flushes_.clear();
        Performed performed = perform(made);
        counted_ = flushes_.count(is_of_caller);
        wait_for_a_round();
        uint64_t yes = 1;
        EXPECT_TRUE(machine_->guest().write(layout::shared + offsetof(Pulse, stop), &yes, sizeof yes));
        EXPECT_EQ(machine_->finish(1).report.outcome, abi::Outcome::ok);
        EXPECT_GE(performed.report.result, 0);
        return performed;
    }

    // `made`, and `back` to have it made again, until as many are sent as are planned: to a vCPU's thread that is kept off
    // its processor for a moment, none is.
    BesideCall until_all_are_sent(const abi::Step& made, const abi::Step& back) {
        constexpr int most_tries = 20;
        for (int tries = 1;; tries++) {
            const BesideCall beside = beside_writer(made).call.value().beside.value();
            if (counted_ >= beside.flushes || tries == most_tries) return beside;
            EXPECT_GE(perform(back).report.result, 0);
        }
    }

    void wait_for_a_round() {
        auto accesses = [&] {
            Pulse pulse;
            EXPECT_TRUE(machine_->guest().read(layout::shared, &pulse, sizeof pulse));
            return pulse.accesses;
        };
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        for (uint64_t before = accesses(); accesses() - before <= large / page; std::this_thread::yield())
            ASSERT_LT(std::chrono::steady_clock::now(), end) << "the vCPU that writes does not get on";
    }

    static constexpr uint64_t size = 64 * mib, there = base + 8 * gib, elsewhere = base + 40 * gib;
    // Page tables that have become empty are given back with a flush, at both ends.
    static constexpr uint64_t of_tables = 2;

    KernelEvents flushes_{"tlb/tlb_flush"};
    uint64_t counted_ = 0;
};

TEST_F(TlbFlushTest, AMoveIsPlannedWithOneForEveryTwoMebibytes) {
    boot_with(Pause::needed);
    const BesideCall beside =
        until_all_are_sent(call(Call::move, base, there, size, 0), call(Call::move, there, base, size, 0));
    EXPECT_EQ(beside.others, OtherVcpus::ran);
    EXPECT_EQ(beside.flushes, size / large);
    EXPECT_GE(counted_, beside.flushes);
    EXPECT_LE(counted_, beside.flushes + of_tables);
}

TEST_F(TlbFlushTest, AnExchangeIsThreeMoves) {
    boot_with(Pause::needed);
    const abi::Step exchange = call(Call::exchange, base, base + 16 * gib, size);
    const BesideCall beside = until_all_are_sent(exchange, exchange);
    EXPECT_EQ(beside.flushes, 3 * size / large);
    EXPECT_GE(counted_, beside.flushes);
    EXPECT_LE(counted_, beside.flushes + 3 * of_tables);
}

TEST_F(TlbFlushTest, WhatUnmapsProtectsOrReleasesIsGathered) {
    boot_with(Pause::needed);
    for (const abi::Step& made : {call(Call::protect, base, size, GPREMAP_PROT_READ),
                                  call(Call::release, base, size), call(Call::unmap, base, size)}) {
        BesideCall beside = beside_writer(made).call.value().beside.value();
        EXPECT_EQ(beside.flushes, 1u);
        EXPECT_EQ(beside.others, OtherVcpus::ran);
        EXPECT_LE(counted_, beside.flushes + of_tables);
    }
}

TEST_F(TlbFlushTest, APauseSavesThem) {
    boot_with(Pause::always);
    BesideCall beside = beside_writer(call(Call::move, base, there, size, 0)).call.value().beside.value();
    EXPECT_EQ(beside.others, OtherVcpus::paused);
    EXPECT_LE(counted_, of_tables + 1);
}

TEST_F(TlbFlushTest, WhatIsShorterIsChosenByWhatWasMeasured) {
    boot_with(Pause::automatic);
    uint64_t from = base, to = there;
    // A host that is busy with other work may keep the other vCPU from running for as long as that takes: the next call
    // tries again.
    for (int tries = 0; tries < 50; ++tries) {
        BesideCall beside = beside_writer(call(Call::move, from, to, size, 0)).call.value().beside.value();
        beside_writer(call(Call::move, to, from, size, 0));
        if (beside.costs) break;
    }
    for (uint64_t bytes : {2 * large, 8 * large, size}) {
        BesideCall beside = beside_writer(call(Call::move, from, to, bytes, 0)).call.value().beside.value();
        ASSERT_TRUE(beside.costs) << bytes;
        EXPECT_GT(beside.costs->flush_ns, 0u);
        EXPECT_GT(beside.costs->pause_ns, 0u);
        bool shorter = bytes / large * beside.costs->flush_ns > beside.costs->pause_ns;
        EXPECT_EQ(beside.others, shorter ? OtherVcpus::paused : OtherVcpus::ran);
        beside_writer(call(Call::move, to, from, bytes, 0));
    }
    BesideCall one = beside_writer(call(Call::move, from, to, large, 0)).call.value().beside.value();
    EXPECT_EQ(one.others, OtherVcpus::ran);
    EXPECT_FALSE(one.costs);
    BesideCall idle =
        perform(call(Call::move, from + large, to + large, size - large, 0)).call.value().beside.value();
    EXPECT_EQ(idle.others, OtherVcpus::idle);
}

}  // namespace
}  // namespace gpremap
