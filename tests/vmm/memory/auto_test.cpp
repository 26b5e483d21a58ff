// The mechanism `auto`: which way each call goes, and that slots that leave the window lose nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "tests/vmm/code.h"
#include "tests/vmm/kvm_test.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vm.h"
#include "vmm/vcpus/post_mortem.h"

namespace gpremap {
namespace {

using abi::Call;
using abi::FaultKind;
using abi::Op;
using abi::Outcome;

constexpr uint64_t aperture = 4 * gib;

class AutoTest : public KvmTest {
  protected:
    void prepare() override { boot(Backing::automatic); }

    void boot(Backing backing, Mechanism mechanism = Mechanism::automatic) {
        KvmTest::boot(config_of({mechanism, backing}, 2, aperture));
    }

    template <typename... Arguments>
    Performed call(Call number, Arguments... arguments) {
        return perform(step(Op::call, number, arguments...));
    }

    void map(uint64_t at, uint64_t size) {
        ASSERT_EQ(call(Call::map, at, size, rw).report.result, static_cast<int64_t>(at));
    }

    // Which way the call went.
    std::string way(const Performed& done) {
        EXPECT_GE(done.report.result, 0);
        if (!done.call) return "no call";
        return done.call->mechanism ? std::string(name_of(*done.call->mechanism)) : "";
    }

    void stamp(uint64_t at, uint64_t size, uint64_t seed) {
        auto done = perform(step(Op::fill, at, size, abi::Pattern::stamp, seed, 0));
        ASSERT_EQ(done.report.outcome, Outcome::ok);
    }
    void expect_stamp(uint64_t at, uint64_t size, uint64_t seed) {
        auto done = perform(step(Op::verify, at, size, abi::Pattern::stamp, seed, 0));
        EXPECT_EQ(done.report.outcome, Outcome::ok) << std::hex << at << " of " << size << " bytes";
    }

    // Of the host's page tables under the range.
    uint64_t in_huge_pages(uint64_t at, uint64_t size) {
        uint64_t bytes = 0;
        auto wanted = remap::Range::of(remap::Gpa{at}, remap::Size{size});
        for (const auto& piece : machine_->remapper().resident_pieces())
            if (piece.largest >= remap::mib2 && wanted.contains(piece.mapped()))
                bytes += piece.mapped().size().bytes;
        return bytes;
    }
};

TEST_F(AutoTest, SlotsMoveOnlyWhereHugePagesWouldBeSplit) {
    map(base, 8 * mib);
    EXPECT_EQ(way(call(Call::move, base, base + gib, 8 * mib, 0)), "window");
    EXPECT_EQ(way(call(Call::move, base + gib, base + 2 * mib, 8 * mib, 0)), "window");
    EXPECT_EQ(way(call(Call::move, base + 2 * mib, base + gib + page, 8 * mib, 0)), "memslot");
    // Its slot lies off there now, so that what comes from there is as congruent as what came.
    EXPECT_EQ(way(call(Call::move, base + gib + page, base + 2 * mib, 8 * mib, 0)), "window");
    EXPECT_EQ(way(call(Call::move, base + 2 * mib, base + gib + page, 8 * mib, 0)), "window");
    // Too small to hold a huge page.
    map(base + 2 * gib, mib);
    EXPECT_EQ(way(call(Call::move, base + 2 * gib, base + 2 * gib + 16 * mib + page, mib, 0)), "window");
}

TEST_F(AutoTest, SlotsMoveWhereMemoryMovesByLessThanItsSize) {
    map(base, 16 * mib);
    stamp(base, 16 * mib, 1);
    EXPECT_EQ(way(call(Call::move, base, base + 5 * page, 16 * mib, 0)), "memslot");
    expect_stamp(base + 5 * page, 16 * mib, 1);
    EXPECT_EQ(call(Call::map, base, 5 * page, rw).report.result, static_cast<int64_t>(base));
    expect_stamp(base + 5 * page, 16 * mib, 1);
}

// The private copies that a snapshot leads to are small pages.
TEST_F(AutoTest, WindowForMemoryThatHasNoHugePagesOfItsOwn) {
    map(base, 8 * mib);
    ASSERT_GE(call(Call::snapshot, base, base + 64 * mib, 8 * mib, rw).report.result, 0);
    EXPECT_EQ(way(call(Call::move, base, base + gib + page, 8 * mib, 0)), "window");
}

TEST_F(AutoTest, WindowAloneNeverMovesSlots) {
    boot(Backing::automatic, Mechanism::window);
    map(base, 8 * mib);
    EXPECT_EQ(way(call(Call::move, base, base + gib + page, 8 * mib, 0)), "window");
}

TEST_F(AutoTest, FreshMemoryInAnOddSlotGetsOneThatFitsHugePages) {
    map(base, 8 * mib);
    call(Call::move, base, base + gib + page, 8 * mib, 0);
    call(Call::unmap, base + gib + page, 8 * mib);
    EXPECT_EQ(way(call(Call::map, base + gib, 8 * mib, rw)), "memslot");
    call(Call::unmap, base + gib, 8 * mib);
    EXPECT_EQ(way(call(Call::map, base + gib, 8 * mib, rw)), "window");
    stamp(base + gib, 8 * mib, 7);
    expect_stamp(base + gib, 8 * mib, 7);
}

class AutoWithBackingTest : public AutoTest, public testing::WithParamInterface<Backing> {};
INSTANTIATE_TEST_SUITE_P(Each, AutoWithBackingTest, testing::Values(Backing::anon, Backing::memfd),
                         [](const auto& of) { return test_name(of.param); });

TEST_P(AutoWithBackingTest, HugePagesOutliveOddMoves) {
    constexpr uint64_t size = 64 * mib;
    boot(GetParam());
    map(base, size);
    stamp(base, size, 3);
    uint64_t before = in_huge_pages(base, size);
    if (before < size)
        GTEST_SKIP() << "the host gave " << before << " bytes in huge pages; see gpremap doctor";
    for (uint64_t to : {base + gib + page, base + 2 * gib + 7 * page, base}) {
        uint64_t from = machine_->remapper().map().front().at;
        ASSERT_GE(call(Call::move, from, to, size, 0).report.result, 0);
        expect_stamp(to, size, 3);
    }
    EXPECT_EQ(in_huge_pages(base, size), size);
}

// Every increment of the other vCPU is in one of the two ranges, wherever they are.
TEST_F(AutoTest, OddExchangesUnderIncrementsLoseNone) {
    constexpr uint64_t size = 4 * mib, a = base, b = base + 64 * mib + page, place = base + gib;
    constexpr int32_t rounds = 5'000'000;
    map(a, size);
    map(b, size);
    ASSERT_GE(call(Call::map, place, 2 * mib, rw | GPREMAP_PROT_EXEC).report.result, 0);
    const code::Bytes bytes = code::count_both(a, b);
    abi::Step program = step(Op::write, place, bytes.size());
    std::ranges::copy(bytes, program.bytes);
    ASSERT_EQ(machine_->perform(0, program).report.outcome, Outcome::ok);
    auto sum = [&] {
        uint64_t total = 0;
        for (uint64_t word : {a, b}) {
            auto read = machine_->perform(0, step(Op::access, word, FaultKind::read));
            total += static_cast<uint64_t>(read.report.result);
        }
        return total;
    };
    machine_->start(1, step(Op::exec, place, rounds));
    int slots_moved = 0;
    for (int i = 0; sum() < 2ull * rounds && i < 100'000; ++i)
        if (way(call(Call::exchange, a, b, size)) == "memslot") ++slots_moved;
    abi::Report report = machine_->finish(1).report;
    EXPECT_EQ(report.outcome, Outcome::ok) << describe(report.fault);
    EXPECT_EQ(sum(), 2ull * rounds) << "after " << slots_moved << " exchanges of slots";
    EXPECT_GT(slots_moved, 0);
}

// Ranges of 4 to 7 MiB that are moved, exchanged, unmapped and mapped at random places, most of them odd.
TEST_F(AutoTest, RandomWalksKeepEveryPage) {
    struct Walker {
        uint64_t at, size, seed;
    };
    const auto seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;
    std::mt19937_64 random(seed);
    std::vector<Walker> walkers;
    auto free_place = [&](uint64_t size) {
        for (;;) {
            uint64_t at = base + random() % ((256 * mib - size) / page) * page;
            bool taken = std::any_of(walkers.begin(), walkers.end(), [&](const Walker& other) {
                return at < other.at + other.size && other.at < at + size;
            });
            if (!taken) return at;
        }
    };
    auto born = [&](Walker& walker) {
        map(walker.at, walker.size);
        stamp(walker.at, walker.size, walker.seed);
    };
    for (uint64_t i = 0; i < 6; ++i) {
        uint64_t size = 4 * mib + random() % 800 * page;
        walkers.push_back({free_place(size), size, i});
        born(walkers.back());
    }
    int slots_moved = 0;
    for (int round = 0; round < 300 && !HasFailure(); ++round) {
        Walker &one = walkers[random() % 6], &other = walkers[random() % 6];
        SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
        uint64_t to = free_place(one.size);
        switch (random() % 4) {
            case 0:
                if (&one == &other) break;
                // The first 4 MiB of both; seeds that differ in no page would not show a mistake.
                slots_moved += way(call(Call::exchange, one.at, other.at, 4 * mib)) == "memslot";
                expect_stamp(one.at, 4 * mib, other.seed);
                expect_stamp(other.at, 4 * mib, one.seed);
                slots_moved += way(call(Call::exchange, one.at, other.at, 4 * mib)) == "memslot";
                break;
            case 1:
                call(Call::unmap, one.at, one.size);
                one.at = to;
                slots_moved += way(call(Call::map, one.at, one.size, rw)) == "memslot";
                stamp(one.at, one.size, one.seed);
                break;
            default:
                slots_moved += way(call(Call::move, one.at, to, one.size, 0)) == "memslot";
                one.at = to;
        }
        for (const Walker& walker : walkers) expect_stamp(walker.at, walker.size, walker.seed);
    }
    EXPECT_GT(slots_moved, 10);
}

// All or nothing, at each host call of calls that change slots.
TEST_F(AutoTest, FailuresLeaveSlotsAndMemoryAsTheyWere) {
    constexpr uint64_t a = base, b = base + 512 * mib + page, c = base + gib, size = 6 * mib;
    const std::array<uint64_t, 6> exchange{a, b, size}, move{a, c + page, size},
        overlap{b, b + 3 * page, size, 0};
    struct Trial {
        Call number;
        std::array<uint64_t, 6> args;
    };
    int points = 0;
    for (auto [number, args] :
         {Trial{Call::exchange, exchange}, Trial{Call::move, move}, Trial{Call::move, overlap}}) {
        boot(Backing::automatic);
        map(a, size);
        map(b, size);
        stamp(a, size, 1);
        stamp(b, size, 2);
        for (uint64_t point = 0;; ++point) {
            auto slots = [&] {
                auto whole = remap::Range::of(remap::Gpa{base}, remap::Size{aperture});
                std::vector<std::array<uint64_t, 3>> found;
                for (const Vm::Slot& slot : machine_->vm().slots_in(whole))
                    found.push_back({slot.gpa, slot.size, reinterpret_cast<uint64_t>(slot.host)});
                return found;
            };
            auto before = slots();
            machine_->remapper().fail_host_call(point);
            const Called called = machine_->call(number, args);
            if (called.result >= 0) {
                EXPECT_EQ(called.record.mechanism, Mechanism::memslot);
                points += static_cast<int>(point);
                break;
            }
            ASSERT_EQ(called.result, -ENOMEM);
            EXPECT_EQ(slots(), before) << "failure at point " << point;
            expect_stamp(a, size, 1);
            expect_stamp(b, size, 2);
            if (HasFailure()) return;
        }
    }
    EXPECT_GT(points, 10);
}

// What one call takes away twice, both times from the same place, comes back in order.
TEST_F(AutoTest, BatchThatSetsTheSameRangeAsideTwiceIsUndone) {
    map(base, 8 * page);
    stamp(base, 8 * page, 1);
    map(base + mib, page);
    std::vector<abi::BatchCall> calls;
    auto add = [&](Call number, std::array<uint64_t, 6> args) {
        calls.push_back({static_cast<uint64_t>(number), {}, 0});
        std::copy(args.begin(), args.end(), calls.back().arg);
    };
    add(Call::unmap, {base, 8 * page});
    add(Call::map, {base, 8 * page, rw, 0});
    add(Call::unmap, {base, 8 * page});
    add(Call::map, {base, 8 * page, rw, 0});
    add(Call::move, {base + mib, base + 2 * mib, page, 0});
    ASSERT_TRUE(machine_->guest().write(layout::shared, calls.data(), calls.size() * sizeof calls[0]));
    uint64_t point = 0;
    for (;; ++point) {
        machine_->remapper().fail_host_call(point);
        if (machine_->call(Call::batch, {layout::shared, calls.size()}).result == 0) break;
        expect_stamp(base, 8 * page, 1);
        if (HasFailure()) return;
    }
    EXPECT_GT(point, 5u);
}

// What a batch releases and then reads is given back at once, and put back when the batch fails.
TEST_F(AutoTest, BatchThatReadsWhatItReleasedIsUndone) {
    boot(Backing::memfd);
    map(base, 8 * page);
    stamp(base, 4 * page, 1);
    ASSERT_GE(call(Call::alias, base, base + mib, 8 * page, rw).report.result, 0);
    const uint64_t resident = machine_->remapper().resident_bytes();
    std::vector<abi::BatchCall> calls;
    auto add = [&](Call number, std::array<uint64_t, 6> args) {
        calls.push_back({static_cast<uint64_t>(number), {}, 0});
        std::copy(args.begin(), args.end(), calls.back().arg);
    };
    add(Call::release, {base, 8 * page});
    add(Call::snapshot, {base, base + 2 * mib, 8 * page, rw});
    add(Call::map, {base + 3 * mib, page, rw});
    ASSERT_TRUE(machine_->guest().write(layout::shared, calls.data(), calls.size() * sizeof calls[0]));
    uint64_t point = 0;
    for (;; ++point) {
        machine_->remapper().fail_host_call(point);
        if (machine_->call(Call::batch, {layout::shared, calls.size()}).result == 0) break;
        expect_stamp(base, 4 * page, 1);
        expect_stamp(base + mib, 4 * page, 1);
        EXPECT_EQ(machine_->remapper().resident_bytes(), resident) << "failure at point " << point;
        if (HasFailure()) return;
    }
    EXPECT_GT(point, 3u);
    for (uint64_t at : {base, base + mib, base + 2 * mib}) {
        auto zero = machine_->perform(0, step(Op::verify, at, 8 * page, abi::Pattern::byte, 0));
        EXPECT_EQ(zero.report.outcome, Outcome::ok) << std::hex << at;
    }
}

}  // namespace
}  // namespace gpremap
