#include "vmm/machine/machine.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "tests/vmm/code.h"
#include "tests/vmm/kvm_test.h"
#include "vmm/base/units.h"
#include "vmm/guests/agent/agent_memory.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vm.h"
#include "vmm/vcpus/post_mortem.h"

namespace gpremap {
namespace {

using abi::Call;
using abi::FaultKind;
using abi::Op;
using abi::Outcome;

class MachineTest : public KvmTest {
  protected:
    void boot(unsigned vcpus) { KvmTest::boot(config_of(automatic, vcpus, 4 * gib)); }

    abi::Report perform(const abi::Step& what, unsigned vcpu = 0) {
        return KvmTest::perform(what, vcpu).report;
    }

    void map(uint64_t at, uint64_t len, uint64_t prot = rw) {
        ASSERT_EQ(perform(call(Call::map, at, len, prot)).result, static_cast<int64_t>(at));
    }

    void write(uint64_t at, const code::Bytes& bytes) {
        abi::Step what = step(Op::write, at, bytes.size());
        std::copy(bytes.begin(), bytes.end(), what.bytes);
        ASSERT_EQ(perform(what).outcome, Outcome::ok);
    }

    void expect_fault(const abi::Step& what, uint64_t address, FaultKind kind) {
        abi::Report report = perform(what);
        EXPECT_EQ(report.outcome, Outcome::fault);
        EXPECT_EQ(report.fault.address, address);
        EXPECT_EQ(report.fault.kind, kind);
        EXPECT_EQ(report.fault.cause, abi::FaultCause::stage2);
        EXPECT_EQ(report.fault.vcpu, 0u);
        EXPECT_GE(report.fault.rip, abi::image_base);
        EXPECT_LT(report.fault.rip, abi::image_limit);
    }

    // The message of the death that performing `what` brings about.
    std::string death_of(const abi::Step& what) {
        try {
            perform(what);
        } catch (const GuestDied& died) {
            return died.what();
        }
        return "nothing died";
    }
};

TEST_F(MachineTest, StartsAndStops) {
    for (unsigned vcpus : {1u, 2u, abi::max_vcpus}) {
        boot(vcpus);
        EXPECT_EQ(machine_->vcpus(), vcpus);
        for (unsigned vcpu = 0; vcpu < vcpus; vcpu++) EXPECT_EQ(perform(call(Call::nop), vcpu).result, 0);
        machine_.reset();
    }
}

TEST_F(MachineTest, RefusesWhatItCannotBe) {
    MachineConfig config;
    config.vcpus = abi::max_vcpus + 1;
    EXPECT_THROW(Machine{config}, ConfigError);
    config.vcpus = 1;
    config.memory.aperture_base = 512 * mib;
    EXPECT_THROW(Machine{config}, ConfigError);
    config.memory.aperture_base = base + page;
    EXPECT_THROW(Machine{config}, ConfigError);
    config.memory.aperture_base = abi::highest_aperture_end;
    EXPECT_THROW(Machine{config}, ConfigError);
}

TEST_F(MachineTest, ControlCallsOutOfTurnAreRefused) {
    boot(1);
    EXPECT_EQ(perform(call(Call::next)).result, -EINVAL);
    EXPECT_EQ(perform(call(static_cast<Call>(0xff))).result, -ENOSYS);
    EXPECT_EQ(perform(call(static_cast<Call>(~0ull))).result, -ENOSYS);
    EXPECT_EQ(perform(step(static_cast<Op>(99))).result, -EINVAL);
}

TEST_F(MachineTest, FillsAndVerifiesBytesAtAnyOffset) {
    boot(1);
    map(base, 4 * mib);
    for (uint64_t offset : {0ull, 1ull, 7ull, 4091ull})
        for (uint64_t len : {0ull, 1ull, 7ull, 8ull, 63ull, 65ull, 4096ull, 10001ull}) {
            uint64_t at = base + page + offset;
            perform(step(Op::fill, base, 32768, abi::Pattern::byte, 0x11));
            ASSERT_EQ(perform(step(Op::fill, at, len, abi::Pattern::byte, 0xa5)).outcome, Outcome::ok);
            EXPECT_EQ(perform(step(Op::verify, at, len, abi::Pattern::byte, 0xa5)).outcome, Outcome::ok);
            EXPECT_EQ(perform(step(Op::verify, base, at - base, abi::Pattern::byte, 0x11)).outcome,
                      Outcome::ok);
            EXPECT_EQ(perform(step(Op::verify, at + len, 1000, abi::Pattern::byte, 0x11)).outcome,
                      Outcome::ok);
        }
}

TEST_F(MachineTest, StampsTellPagesApartAndFindTheByte) {
    boot(1);
    map(base, 4 * mib);
    for (uint64_t len : {5ul, 4096ul, 4101ul, 3 * mib + 3}) {
        ASSERT_EQ(perform(step(Op::fill, base, len, abi::Pattern::stamp, 7, 100)).outcome, Outcome::ok);
        EXPECT_EQ(perform(step(Op::verify, base, len, abi::Pattern::stamp, 7, 100)).outcome, Outcome::ok);
        EXPECT_EQ(perform(step(Op::verify, base, len, abi::Pattern::stamp, 7, 101)).outcome,
                  Outcome::mismatch);
    }
    // a range's second page alone is the next stamp page
    EXPECT_EQ(perform(step(Op::verify, base + page, page, abi::Pattern::stamp, 7, 101)).outcome, Outcome::ok);

    uint64_t word = abi::stamp_word(abi::stamp_page(7, 102), 3);
    auto expected = static_cast<uint8_t>(word >> 16);
    write(base + 2 * page + 3 * 8 + 2, {static_cast<uint8_t>(expected ^ 0xff)});
    abi::Report report = perform(step(Op::verify, base, 3 * mib, abi::Pattern::stamp, 7, 100));
    EXPECT_EQ(report.outcome, Outcome::mismatch);
    EXPECT_EQ(report.mismatch_at, base + 2 * page + 3 * 8 + 2);
    EXPECT_EQ(report.mismatch_expected, expected);
    EXPECT_EQ(report.mismatch_found, expected ^ 0xffu);
}

TEST_F(MachineTest, CopiesAsMemmoveDoes) {
    boot(1);
    map(base, 4 * mib);
    for (int64_t shift : {1, 8, 13, 4096, -1, -13, -4096}) {
        uint64_t from = base + mib, to = from + static_cast<uint64_t>(shift);
        perform(step(Op::fill, from, 100003, abi::Pattern::stamp, 3, 0));
        ASSERT_EQ(perform(step(Op::copy, from, to, 100003)).outcome, Outcome::ok);
        EXPECT_EQ(perform(step(Op::verify, to, 100003, abi::Pattern::stamp, 3, 0)).outcome, Outcome::ok)
            << shift;
    }
}

TEST_F(MachineTest, TouchWritesKeepTheContents) {
    boot(1);
    map(base, 4 * mib);
    perform(step(Op::fill, base, 4 * mib, abi::Pattern::stamp, 1, 0));
    for (uint64_t writes : {0u, 1u})
        EXPECT_EQ(perform(step(Op::touch, base, 4 * mib, writes, page)).outcome, Outcome::ok);
    EXPECT_EQ(perform(step(Op::verify, base, 4 * mib, abi::Pattern::stamp, 1, 0)).outcome, Outcome::ok);
    EXPECT_EQ(perform(step(Op::touch, base, 4 * mib, 0, 0)).result, -EINVAL);
    EXPECT_EQ(perform(step(Op::touch, base, ~0ull, 0, ~0ull)).outcome, Outcome::ok);
}

TEST_F(MachineTest, BadAccessesAreReportedAndTheAgentGoesOn) {
    boot(1);
    map(base, 2 * mib);
    map(base + 2 * mib, 2 * mib, GPREMAP_PROT_READ);
    EXPECT_EQ(perform(step(Op::access, base + 2 * mib, FaultKind::read)).outcome, Outcome::ok);
    expect_fault(step(Op::access, base + 2 * mib + 8, FaultKind::write, 1), base + 2 * mib + 8,
                 FaultKind::write);
    for (uint64_t hole : {base + 8 * mib, base + 4 * gib - 8}) {
        for (int i = 0; i < 3; i++) {
            expect_fault(step(Op::access, hole, FaultKind::read), hole, FaultKind::read);
            expect_fault(step(Op::access, hole, FaultKind::write, 1), hole, FaultKind::write);
        }
        expect_fault(step(Op::touch, hole, 8, 1, 8), hole,
                     FaultKind::write);  // locked: read and written at once
        expect_fault(step(Op::copy, hole - 64, base, 64), hole - 64, FaultKind::read);
        expect_fault(step(Op::copy, base, hole - 64, 64), hole - 64, FaultKind::write);
        expect_fault(step(Op::fill, hole, 8, abi::Pattern::byte, 1), hole, FaultKind::write);
    }
    EXPECT_EQ(perform(step(Op::access, base, FaultKind::write, 42)).outcome, Outcome::ok);
    EXPECT_EQ(perform(step(Op::access, base, FaultKind::read)).result, 42);
}

TEST_F(MachineTest, StringsFaultAtTheFirstBadByteAndKeepWhatTheyDid) {
    boot(1);
    map(base, 2 * mib);
    perform(step(Op::fill, base, 2 * mib, abi::Pattern::byte, 0));
    expect_fault(step(Op::fill, base + 2 * mib - 64, 128, abi::Pattern::byte, 7), base + 2 * mib,
                 FaultKind::write);
    EXPECT_EQ(perform(step(Op::verify, base + 2 * mib - 64, 64, abi::Pattern::byte, 7)).outcome, Outcome::ok);
    expect_fault(step(Op::copy, base + mib + 8, base + mib, mib), base + 2 * mib, FaultKind::read);
}

TEST_F(MachineTest, WordThatStraddlesTheEndFaultsBeyondIt) {
    boot(1);
    map(base, 2 * mib);
    expect_fault(step(Op::access, base + 2 * mib - 3, FaultKind::write, ~0ull), base + 2 * mib,
                 FaultKind::write);
    expect_fault(step(Op::access, base + 2 * mib - 3, FaultKind::read), base + 2 * mib, FaultKind::read);
}

TEST_F(MachineTest, OutsideTheTablesIsAnExceptionOfTheAgent) {
    boot(1);
    for (uint64_t at : {base - page, base + 4 * gib, 0x500ul}) {
        abi::Report report = perform(step(Op::access, at, FaultKind::write, 1));
        EXPECT_EQ(report.outcome, Outcome::fault);
        EXPECT_EQ(report.fault.address, at);
        EXPECT_EQ(report.fault.cause, abi::FaultCause::exception);
        EXPECT_EQ(report.fault.vector, code::vector_of_data);
        EXPECT_EQ(report.fault.kind, FaultKind::write);
    }
    EXPECT_EQ(perform(call(Call::nop)).result, 0);
}

void expect_denied(const abi::Report& report, uint64_t at) {
    EXPECT_EQ(report.outcome, Outcome::fault);
    EXPECT_EQ(report.fault.address, at);
    EXPECT_EQ(report.fault.rip, at);
    EXPECT_EQ(report.fault.kind, FaultKind::execute);
    EXPECT_EQ(report.fault.cause, abi::FaultCause::exception);
    EXPECT_TRUE(code::is_denied_execution(report.fault)) << describe(report.fault);
}

TEST_F(MachineTest, RunsCodeOnlyWhereTheMapSaysExecutable) {
    boot(2);
    constexpr uint64_t rwx = GPREMAP_PROT_READ | GPREMAP_PROT_WRITE | GPREMAP_PROT_EXEC;
    for (uint64_t at : {base + 2 * mib, base + gib - 2 * mib}) {
        map(at, 2 * mib);
        uint64_t place = at + 3 * page + 0x10;
        write(place, code::add_one);
        expect_denied(perform(step(Op::exec, place, 41)), place);
        ASSERT_EQ(perform(call(Call::protect, at, 2 * mib, rwx)).result, 0);
        for (unsigned vcpu : {0u, 1u, 0u}) {
            abi::Report report = perform(step(Op::exec, place, 41), vcpu);
            EXPECT_EQ(report.outcome, Outcome::ok);
            EXPECT_EQ(report.result, 42);
        }
        ASSERT_EQ(perform(call(Call::protect, at, 2 * mib, rwx & ~GPREMAP_PROT_EXEC)).result, 0);
        for (unsigned vcpu : {0u, 1u}) expect_denied(perform(step(Op::exec, place, 41), vcpu), place);
    }
}

TEST_F(MachineTest, CodeThatFaultsIsGivenUpAndLeavesNothingExecutable) {
    boot(1);
    constexpr uint64_t rwx = GPREMAP_PROT_READ | GPREMAP_PROT_WRITE | GPREMAP_PROT_EXEC;
    map(base, 2 * mib, rwx);
    write(base, code::undefined);
    abi::Report report = perform(step(Op::exec, base, 0));
    EXPECT_EQ(report.outcome, Outcome::fault);
    EXPECT_EQ(report.fault.vector, code::undefined_vector);
    EXPECT_EQ(report.fault.rip, base);

    // The fault's rip is in the range itself.
    write(base, code::store_far);
    report = perform(step(Op::exec, base, 0));
    EXPECT_EQ(report.outcome, Outcome::fault);
    EXPECT_EQ(report.fault.address, code::store_far_to);
    EXPECT_EQ(report.fault.rip, base + code::store_far_offset);

    write(base, code::add_one);
    EXPECT_EQ(perform(step(Op::exec, base, 1)).result, 2);
    ASSERT_EQ(perform(call(Call::protect, base, 2 * mib, GPREMAP_PROT_READ)).result, 0);
    expect_denied(perform(step(Op::exec, base, 1)), base);
}

TEST_F(MachineTest, TripleFaultIsReportedWithRegistersAndCalls) {
    if (!code::can_shut_down) GTEST_SKIP() << "a vCPU of this processor does not shut down";
    boot(2);
    perform(call(Call::query, 1, 2, 3, 4));
    abi::Tables tables;
    ASSERT_TRUE(machine_->guest().read(layout::tables_block, &tables, sizeof tables));
    std::string report = death_of(step(Op::fill, tables.root, 8, abi::Pattern::byte, 0));
    if (report == "nothing died") report = death_of(call(Call::flush_tlb));
    EXPECT_NE(report.find("triple fault"), std::string::npos) << report;
    EXPECT_NE(report.find("no exception had been delivered to ring 0"), std::string::npos) << report;
    EXPECT_NE(report.find("rip"), std::string::npos) << report;
    EXPECT_NE(report.find("call 0x108 (0x1, 0x2, 0x3, 0x4, 0x0, 0x0)"), std::string::npos) << report;
    EXPECT_THROW(perform(call(Call::nop), 1), GuestDied) << "one death is everyone's";
}

TEST_F(MachineTest, TripleFaultNamesTheExceptionBefore) {
    if (!code::can_shut_down) GTEST_SKIP() << "a vCPU of this processor does not shut down";
    boot(1);
    perform(step(Op::access, base - page, FaultKind::read));
    abi::Tables tables;
    ASSERT_TRUE(machine_->guest().read(layout::tables_block, &tables, sizeof tables));
    std::string report = death_of(step(Op::fill, tables.root, 8, abi::Pattern::byte, 0));
    if (report == "nothing died") report = death_of(call(Call::flush_tlb));
    EXPECT_NE(report.find("triple fault; the last exception delivered to ring 0: rip 0x1"), std::string::npos)
        << report;
}

TEST_F(MachineTest, UnhandledFaultEndsTheRunWithTheFault) {
    boot(1);
    expect_fault(step(Op::access, base + mib, FaultKind::read), base + mib, FaultKind::read);
    std::string report = death_of(call(Call::unhandled));
    EXPECT_NE(report.find("unhandled fault: read of 0x100100000"), std::string::npos) << report;
}

TEST_F(MachineTest, StaleAgentIsRefused) {
    boot(1);
    EXPECT_NE(death_of(call(Call::hello, GPREMAP_ABI_VERSION + 1)).find("version"), std::string::npos);
}

TEST_F(MachineTest, FaultingFaultHandlerEndsTheRun) {
    boot(1);
    perform(call(Call::fault_handler, base));
    EXPECT_NE(death_of(step(Op::access, base, FaultKind::read)).find("in the fault handler"),
              std::string::npos);
}

TEST_F(MachineTest, TwoVcpusWorkAtOnce) {
    boot(2);
    map(base, 64 * mib);
    for (int round = 0; round < 20; round++) {
        for (unsigned vcpu : {0u, 1u})
            machine_->start(
                vcpu, step(Op::fill, base + vcpu * 32 * mib, 32 * mib, abi::Pattern::stamp, vcpu, round));
        for (unsigned vcpu : {0u, 1u}) EXPECT_EQ(machine_->finish(vcpu).report.outcome, Outcome::ok);
        for (unsigned vcpu : {0u, 1u})
            machine_->start(
                vcpu, step(Op::verify, base + vcpu * 32 * mib, 32 * mib, abi::Pattern::stamp, vcpu, round));
        for (unsigned vcpu : {0u, 1u}) EXPECT_EQ(machine_->finish(vcpu).report.outcome, Outcome::ok);
    }
}

TEST_F(MachineTest, PausedVcpusStandStill) {
    boot(2);
    map(base, 64 * mib);
    std::atomic<bool> stop = false;
    std::thread busy([&] {
        for (uint64_t round = 1; !stop; round++)
            perform(step(Op::fill, base, 64 * mib, abi::Pattern::byte, round), 1);
    });
    const uint64_t moving = layout::mailbox(1) + offsetof(abi::Mailbox, report.tsc_begin);
    auto read_clock = [&] {
        uint64_t value = 0;
        EXPECT_TRUE(machine_->guest().read(moving, &value, sizeof value));
        return value;
    };
    for (int round = 0; round < 50; round++) {
        PausedVcpus paused = machine_->vm().pause_others(VcpuGate::nobody);
        uint64_t before = read_clock();
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        EXPECT_EQ(read_clock(), before);
    }
    uint64_t before = read_clock();
    for (int i = 0; i < 2000 && read_clock() == before; i++)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_NE(read_clock(), before) << "goes on after the pause";
    stop = true;
    busy.join();
}

TEST_F(MachineTest, PausesNest) {
    boot(2);
    Vm& vm = machine_->vm();
    {
        PausedVcpus outer = vm.pause_others(VcpuGate::nobody);
        { PausedVcpus inner = vm.pause_others(VcpuGate::nobody); }
        machine_->start(0, call(Call::nop));
    }
    EXPECT_EQ(machine_->finish(0).report.outcome, Outcome::ok);
}

// vCPU 1 increments the first word of two ranges, with locked and plain instructions, while vCPU 0
// exchanges them again and again: every increment is in one of the two in the end.
TEST_F(MachineTest, ExchangeUnderIncrementsLosesNone) {
    boot(2);
    constexpr uint64_t size = 4 * mib, a = base, b = base + 64 * mib, program = base + gib;
    constexpr int32_t rounds = 20'000'000;
    map(a, size);
    map(b, size);
    map(program, 2 * mib, GPREMAP_PROT_READ | GPREMAP_PROT_WRITE | GPREMAP_PROT_EXEC);
    write(program, code::count_both(a, b));
    machine_->start(1, step(Op::exec, program, rounds));
    int exchanges = 0;
    const uint64_t words[] = {a, b};
    auto sum = [&] {
        uint64_t total = 0;
        for (uint64_t word : words)
            total += static_cast<uint64_t>(perform(step(Op::access, word, FaultKind::read)).result);
        return total;
    };
    while (sum() < 2ull * rounds && exchanges < 100'000) {
        ASSERT_EQ(perform(call(Call::exchange, a, b, size)).result, 0);
        exchanges++;
    }
    abi::Report report = machine_->finish(1).report;
    EXPECT_EQ(report.outcome, Outcome::ok) << describe(report.fault);
    EXPECT_EQ(sum(), 2ull * rounds) << "after " << exchanges << " exchanges";
    EXPECT_GT(exchanges, 1);
}

TEST_F(MachineTest, SignalsToTheProcessDisturbNothing) {
    boot(1);
    map(base, 64 * mib);
    struct sigaction action = {}, previous = {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR2, &action, &previous);
    std::atomic<bool> stop = false;
    std::thread sender([&] {
        while (!stop) {
            kill(getpid(), SIGUSR2);
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
    });
    for (int round = 0; round < 20; round++) {
        perform(step(Op::fill, base, 64 * mib, abi::Pattern::stamp, round, 0));
        EXPECT_EQ(perform(step(Op::verify, base, 64 * mib, abi::Pattern::stamp, round, 0)).outcome,
                  Outcome::ok);
    }
    stop = true;
    sender.join();
    sigaction(SIGUSR2, &previous, nullptr);
}

TEST_F(MachineTest, RecordsCallsAndTheirTime) {
    boot(1);
    Performed performed = machine_->perform(0, call(Call::map, base, 2 * mib, GPREMAP_PROT_READ));
    ASSERT_TRUE(performed.call);
    EXPECT_GT(performed.call->call_ns, 0u);
    EXPECT_GE(performed.guest_ns, performed.call->call_ns);
    EXPECT_FALSE(machine_->perform(0, call(Call::nop)).call);
}

TEST_F(MachineTest, CopiesOnlyWithinTheAgentsMemory) {
    Kvm kvm;
    Vm vm(kvm);
    AgentMemory memory(vm);
    uint64_t value = 0;
    EXPECT_TRUE(memory.write(abi::agent_size - 8, &value, 8));
    EXPECT_FALSE(memory.write(abi::agent_size - 7, &value, 8));
    EXPECT_FALSE(memory.read(~0ull, &value, 8));
    EXPECT_FALSE(memory.read(0, &value, ~0ull));
    EXPECT_TRUE(memory.read(0, &value, 0));
    EXPECT_THROW(vm.set_memory(1, abi::agent_base, page, memory.bytes().data(), 0), std::system_error);
}

// As perf and taskset show them.
std::multiset<std::string> names_of_threads() {
    std::multiset<std::string> names;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::string name;
        std::getline(std::ifstream(task.path() / "comm"), name);
        names.insert(name);
    }
    return names;
}

TEST_F(MachineTest, ThreadsOfVcpusHaveNames) {
    boot(2);
    const std::multiset<std::string> names = names_of_threads();
    EXPECT_EQ(names.count("vcpu0"), 1u);
    EXPECT_EQ(names.count("vcpu1"), 1u);
    EXPECT_EQ(names.count("vcpu2"), 0u);
}

TEST_F(MachineTest, StatisticsCountExitsAndFaults) {
    boot(1);
    if (!machine_->vm().capabilities().statistics) GTEST_SKIP() << "this KVM has no KVM_GET_STATS_FD";
    map(base, 4 * mib);
    const KvmCounts before = machine_->vm().stats();
    perform(step(Op::touch, base, 4 * mib, 1, page));
    EXPECT_GT(machine_->vm().stats().exits, before.exits);
    if (machine_->vm().capabilities().mmu == MmuKind::stage2) GTEST_SKIP() << "KVM counts no faults on ARM";
    EXPECT_GT(machine_->vm().stats().faults, before.faults);
}

}  // namespace
}  // namespace gpremap
