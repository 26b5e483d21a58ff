// What a call costs in system calls: exits and register ioctls of its vCPU, and host calls of a batch.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/kvm/counted_ioctls.h"
#include "vmm/cpu_x86_64.h"
#include "vmm/errors.h"
#include "vmm/kvm.h"
#include "vmm/machine.h"
#include "vmm/vm.h"

namespace gpremap {
namespace {

using abi::Call;

constexpr uint64_t page = 4096;
constexpr uint64_t base = 4ull << 30;
constexpr uint64_t read_write = abi::prot_read | abi::prot_write;

class CallCostTest : public testing::Test {
  protected:
    void SetUp() override {
        try {
            sync_regs_ = Kvm().capabilities().sync_regs;
        } catch (const HostLacks& lack) {
            GTEST_SKIP() << lack.what();
        }
    }

    static MachineConfig config(Mechanism mechanism, Backing backing) {
        MachineConfig config;
        config.memory.aperture_base = base;
        config.memory.mechanism = mechanism;
        config.memory.backing = backing;
        return config;
    }

    bool sync_regs_ = false;
};

struct Ioctls {
    uint64_t run;
    uint64_t registers;
};

// Of a machine, from its start to its end, whose agent does `step` so many times.
Ioctls ioctls_of(const abi::Step& step, int times) {
    auto made = [] {
        return Ioctls{ioctls_made(KVM_RUN), ioctls_made(KVM_GET_REGS) + ioctls_made(KVM_SET_REGS)};
    };
    const Ioctls before = made();
    {
        Machine machine({});
        for (int i = 0; i < times; i++) machine.perform(0, step);
    }
    return {made().run - before.run, made().registers - before.registers};
}

// A step is asked for and reported with a call each; this one makes one more, the other does nothing.
TEST_F(CallCostTest, AnEmptyCallIsOneEntryAndNoRegisterIoctl) {
    constexpr int times = 100;
    abi::Step nop = {}, nothing = {};
    nop.op = abi::Op::call;
    nop.arg[0] = static_cast<uint64_t>(Call::nop);
    nothing.op = abi::Op::touch;
    nothing.arg[3] = page;
    const Ioctls with = ioctls_of(nop, times), without = ioctls_of(nothing, times);
    EXPECT_EQ(with.run - without.run, times);
    if (!sync_regs_) GTEST_SKIP() << "this host's KVM has no KVM_CAP_SYNC_REGS: registers cost ioctls";
    EXPECT_EQ(with.registers, 0u);
}

class BatchCostTest : public CallCostTest,
                      public testing::WithParamInterface<std::tuple<Mechanism, Backing>> {
  protected:
    SyscallCounts syscalls_of_batch(Machine& machine, const std::vector<abi::BatchCall>& calls) {
        EXPECT_TRUE(machine.vm().write_agent(layout::shared, calls.data(), calls.size() * sizeof calls[0]));
        abi::Step step = {};
        step.op = abi::Op::call;
        step.arg[0] = static_cast<uint64_t>(Call::batch);
        step.arg[1] = layout::shared;
        step.arg[2] = calls.size();
        Performed done = machine.perform(0, step);
        EXPECT_EQ(done.report.result, 0);
        return done.call->syscalls;
    }

    // The call for each of `count` pages side by side.
    template <typename... Arguments>
    static std::vector<abi::BatchCall> for_each_page(Call number, uint64_t count, Arguments... arguments) {
        std::vector<abi::BatchCall> calls;
        for (uint64_t i = 0; i < count; i++)
            calls.push_back({static_cast<uint64_t>(number), {base + i * page, page, arguments...}, 0});
        return calls;
    }
};

INSTANTIATE_TEST_SUITE_P(Each, BatchCostTest,
                         testing::Combine(testing::Values(Mechanism::window, Mechanism::memslot),
                                          testing::Values(Backing::anon, Backing::memfd)),
                         [](const auto& of) {
                             return std::string(std::get<0>(of.param) == Mechanism::window ? "window"
                                                                                           : "memslot") +
                                    (std::get<1>(of.param) == Backing::anon ? "_anon" : "_memfd");
                         });

TEST_P(BatchCostTest, NeighboursCostAsMuchAsOne) {
    auto [mechanism, backing] = GetParam();
    Machine one(config(mechanism, backing)), many(config(mechanism, backing));
    for (const auto& [number, prot] :
         {std::pair(Call::map, read_write), {Call::protect, abi::prot_read}, {Call::unmap, uint64_t{0}}}) {
        SyscallCounts of_one = syscalls_of_batch(one, for_each_page(number, 1, prot));
        SyscallCounts of_many = syscalls_of_batch(many, for_each_page(number, abi::max_batch, prot));
        EXPECT_GT(of_one.total(), 0u) << "call " << static_cast<uint64_t>(number);
        EXPECT_EQ(of_many.total(), of_one.total()) << "call " << static_cast<uint64_t>(number);
    }
}

}  // namespace
}  // namespace gpremap
