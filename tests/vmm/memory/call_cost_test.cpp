// What a call costs in system calls: exits and register ioctls of its vCPU, and host calls of a batch.
#include <gtest/gtest.h>

#include <vector>

#include "tests/vmm/kvm_test.h"
#include "tests/vmm/memory/counted_ioctls.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

using abi::Call;

using CallCostTest = KvmTest;

struct Ioctls {
    uint64_t run;
    uint64_t registers;
    uint64_t allocations;  // by the vCPU's thread, beside them
};

// Of a machine, from its start to its end, whose agent does `step` so many times.
Ioctls ioctls_of(const abi::Step& step, int times) {
    auto made = [] {
        return Ioctls{ioctls_made(KVM_RUN), ioctls_made(KVM_GET_REGS) + ioctls_made(KVM_SET_REGS),
                      allocations_of_vcpus()};
    };
    const Ioctls before = made();
    {
        Machine machine({});
        for (int i = 0; i < times; i++) machine.perform(0, step);
    }
    const Ioctls after = made();
    return {after.run - before.run, after.registers - before.registers,
            after.allocations - before.allocations};
}

// A step is asked for and reported with a call each; this one makes one more, the other does nothing.
TEST_F(CallCostTest, AnEmptyCallIsOneEntryAndNoRegisterIoctl) {
    constexpr int times = 100;
    const abi::Step nothing = step(abi::Op::touch, 0, 0, 0, page);
    const Ioctls with = ioctls_of(call(Call::nop), times), without = ioctls_of(nothing, times);
    // A machine that ends may do so before or after its vCPU's last entry, and there are two.
    EXPECT_NEAR(static_cast<double>(with.run) - static_cast<double>(without.run), times, 2);
    if (!Kvm().capabilities().sync_regs)
        GTEST_SKIP() << "this host's KVM has no KVM_CAP_SYNC_REGS: registers cost ioctls";
    EXPECT_EQ(with.registers, 0u);
}

TEST_F(CallCostTest, AnEmptyCallAllocatesNothing) {
    constexpr uint64_t times = 100;
    const abi::Step nothing = step(abi::Op::touch, 0, 0, 0, page);
    const Ioctls without = ioctls_of(nothing, times), with = ioctls_of(call(Call::nop), times);
    EXPECT_LT(with.allocations, without.allocations + times / 2);
    const Ioctls planned = ioctls_of(call(Call::map, base, page, rw), times);
    EXPECT_GT(planned.allocations, with.allocations + times) << "they are not counted";
}

class BatchCostTest : public KvmTestWith<Variant> {
  protected:
    SyscallCounts syscalls_of_batch(Machine& machine, const std::vector<abi::BatchCall>& calls) {
        EXPECT_TRUE(machine.guest().write(layout::shared, calls.data(), calls.size() * sizeof calls[0]));
        Performed done = machine.perform(0, call(Call::batch, layout::shared, calls.size()));
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
                         [](const auto& of) { return name_of(of.param); });

TEST_P(BatchCostTest, NeighboursCostAsMuchAsOne) {
    Machine one(config_of(GetParam(), 1, gib)), many(config_of(GetParam(), 1, gib));
    for (const auto& [number, prot] :
         {std::pair(Call::map, rw), {Call::protect, GPREMAP_PROT_READ}, {Call::unmap, uint64_t{0}}}) {
        SyscallCounts of_one = syscalls_of_batch(one, for_each_page(number, 1, prot));
        SyscallCounts of_many = syscalls_of_batch(many, for_each_page(number, GPREMAP_MAX_BATCH, prot));
        EXPECT_GT(of_one.total(), 0u) << "call " << static_cast<uint64_t>(number);
        EXPECT_EQ(of_many.total(), of_one.total()) << "call " << static_cast<uint64_t>(number);
    }
}

}  // namespace
}  // namespace gpremap
