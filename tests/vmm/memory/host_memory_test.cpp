// What a guest can take of its host beside what is mapped, and for how long it can hold up its own vCPUs.
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/vmm/kvm_test.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

using abi::Call;

// Of all processes since the host has started: huge pages that were made by a first touch, and that were split.
struct HugePages {
    uint64_t made = 0;
    uint64_t split = 0;
};

HugePages count_huge_pages() {
    HugePages pages;
    std::ifstream statistics("/proc/vmstat");
    uint64_t value = 0;
    for (std::string key; statistics >> key >> value;) {
        if (key == "thp_fault_alloc") pages.made = value;
        if (key == "thp_split_page") pages.split = value;
    }
    return pages;
}

class HostMemoryTest : public KvmTestWith<Mechanism> {};

// 2 MiB that are touched, of which all but a page goes: a huge page keeps all of its memory as long as any of it is
// mapped, unless it is split.
TEST_P(HostMemoryTest, WhatGoesOfAHugePageIsTheHosts) {
    constexpr uint64_t rounds = 150;
    Machine machine(config_of({GetParam(), Backing::anon}, 1, 8 * gib));
    const HugePages before = count_huge_pages();
    for (uint64_t i = 0; i < rounds; i++) {
        const uint64_t at = base + i * large;
        ASSERT_GE(machine.perform(0, call(Call::map, at, large, rw)).report.result, 0);
        machine.perform(0, step(abi::Op::touch, at, large, 1, page));
        ASSERT_GE(machine.perform(0, call(Call::shrink, at, large, page)).report.result, 0);
    }
    const HugePages after = count_huge_pages();
    if (after.made - before.made < rounds)
        GTEST_SKIP() << "this host has made " << after.made - before.made << " huge pages of " << rounds;
    EXPECT_GE(after.split - before.split, rounds);
}

// A range of thousands of pieces on the host, each of which it moves by itself: a batch of such moves would pause the
// vCPUs for as many times that. The guest sees them where rights differ; slots of their own it does not.
TEST_P(HostMemoryTest, ABatchThatWouldTakeTooLongIsRefused) {
    constexpr uint64_t pages = 2048, moves = 64;
    Machine machine(config_of({GetParam(), Backing::anon}, 1, 8 * gib));
    auto batch = [&](const std::vector<abi::BatchCall>& calls) {
        EXPECT_TRUE(machine.guest().write(layout::shared, calls.data(), calls.size() * sizeof calls[0]));
        return machine.perform(0, call(Call::batch, layout::shared, calls.size())).report.result;
    };
    for (uint64_t i = 0; i < pages;) {
        std::vector<abi::BatchCall> calls;
        // What one batch maps side by side is one slot.
        const size_t together = GetParam() == Mechanism::window ? GPREMAP_MAX_BATCH : 1;
        for (; calls.size() < together; i++) {
            const bool differs = GetParam() == Mechanism::window && i % 2 == 0;
            const uint64_t prot = differs ? uint64_t{GPREMAP_PROT_READ} : rw;
            calls.push_back({static_cast<uint64_t>(Call::map), {base + i * page, page, prot}, 0});
        }
        ASSERT_EQ(batch(calls), 0);
    }
    machine.perform(0, step(abi::Op::fill, base + page, page, 0, 'x'));
    std::vector<abi::BatchCall> calls;
    for (uint64_t i = 0; i < moves; i++) {
        const uint64_t from = i % 2 == 0 ? base : base + gib, to = i % 2 == 0 ? base + gib : base;
        calls.push_back({static_cast<uint64_t>(Call::move), {from, to, pages * page, 0}, 0});
    }
    EXPECT_EQ(batch(calls), -ENOMEM);
    EXPECT_EQ(machine.perform(0, step(abi::Op::verify, base + page, page, 0, 'x')).report.outcome,
              abi::Outcome::ok);
    calls.resize(8);
    EXPECT_EQ(batch(calls), 0);
    EXPECT_EQ(machine.perform(0, step(abi::Op::verify, base + page, page, 0, 'x')).report.outcome,
              abi::Outcome::ok);
}

INSTANTIATE_TEST_SUITE_P(Mechanisms, HostMemoryTest, testing::Values(Mechanism::window, Mechanism::memslot),
                         name_of_mechanism);

}  // namespace
}  // namespace gpremap
