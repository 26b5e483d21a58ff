// Snapshots that copy later read what the range held when they were made, whoever writes before it has been copied.
#include "vmm/memory/late_copies.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/vmm/kvm_test.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

using abi::Call;
using abi::Op;
using abi::Outcome;
using abi::Pattern;

// Where what was written goes: copied to the snapshot, since an older one is there, or into the object.
enum class Older { kept, dropped };
using Parameter = std::tuple<Variant, Older>;

class LateCopiesTest : public KvmTestWith<Parameter> {
  protected:
    void prepare() override {
        boot(config_of(std::get<Variant>(GetParam()), 2, 64 * gib));
        ASSERT_GE(remap(Call::map, {base, size, rw, 0}), 0);
        fill(base, size, 'a');
        ASSERT_EQ(remap(Call::snapshot, {base, first, size, rw, 0}), static_cast<int64_t>(first));
        if (std::get<Older>(GetParam()) == Older::kept) return;
        ASSERT_EQ(remap(Call::unmap, {first, size}), 0);
    }

    void fill(uint64_t at, uint64_t bytes, char letter) {
        ASSERT_EQ(perform(step(Op::fill, at, bytes, Pattern::byte, letter)).report.outcome, Outcome::ok);
    }
    void expect(uint64_t at, uint64_t bytes, char letter) {
        EXPECT_EQ(perform(step(Op::verify, at, bytes, Pattern::byte, letter)).report.outcome, Outcome::ok)
            << std::hex << at << " should read " << letter;
    }

    // All of it has been written since the snapshot before.
    void snapshot(uint64_t prot = rw) {
        fill(base, size, 'b');
        const Called made = machine_->call(Call::snapshot, {base, second, size, prot, 0});
        ASSERT_EQ(made.result, static_cast<int64_t>(second));
        EXPECT_EQ(made.record.deferred_bytes, size);
        EXPECT_EQ(made.record.syscalls.copied_bytes, 0u);
    }

    // The background may be ahead of it: then once more.
    void snapshot_until(const std::function<bool(const LateCopies::Counts&)>& is_seen,
                        const std::function<void()>& access) {
        for (int round = 0;; ++round) {
            ASSERT_LT(round, 50);
            snapshot();
            access();
            if (is_seen(counts())) return;
            remap(Call::unmap, {second, size});
        }
    }

    LateCopies::Counts counts() const { return machine_->remapper().late_copies(); }
    bool is_finished() const {
        const auto now = counts();
        return now.awaited + now.in_background + now.dropped == now.deferred;
    }
    void wait_for_the_rest() {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(2);
        while (!is_finished()) {
            ASSERT_LT(std::chrono::steady_clock::now(), deadline);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    std::vector<char> read(uint64_t at) const {
        std::vector<char> bytes(size);
        EXPECT_EQ(machine_->vm().read_guest(at, std::as_writable_bytes(std::span(bytes))), size);
        return bytes;
    }

    static constexpr uint64_t size = 8 * mib;
    static constexpr uint64_t first = base + 1 * gib, second = base + 2 * gib, elsewhere = base + 3 * gib;
};

TEST_P(LateCopiesTest, AWriteToTheRangeWaitsForItsPiece) {
    // The background begins at the other end.
    snapshot_until([](const auto& now) { return now.awaited >= large; },
                   [&] { fill(base + size - page, page, 'c'); });
    fill(base, size - page, 'c');
    expect(second, size, 'b');
    expect(base, size, 'c');
    EXPECT_TRUE(is_finished());
    EXPECT_EQ(counts().copied_bytes + counts().dropped, counts().deferred);
}

TEST_P(LateCopiesTest, AnAccessToTheSnapshotWaitsForItsPiece) {
    snapshot_until([](const auto& now) { return now.awaited >= large; },
                   [&] { expect(second + size - page, page, 'b'); });
    fill(second, size, 'd');
    expect(base, size, 'b');
    EXPECT_TRUE(is_finished());
}

TEST_P(LateCopiesTest, TheRestIsCopiedInTheBackground) {
    snapshot();
    expect(base, size, 'b');  // reads wait for nothing
    wait_for_the_rest();
    EXPECT_EQ(counts().awaited, 0u);
    EXPECT_EQ(counts().copied_bytes, size);
    fill(base, size, 'c');
    expect(second, size, 'b');
}

TEST_P(LateCopiesTest, OnlyWhatWasWrittenIsCopied) {
    fill(base + 5 * mib, page, 'b');
    ASSERT_EQ(remap(Call::snapshot, {base, second, size, rw, 0}), static_cast<int64_t>(second));
    wait_for_the_rest();
    EXPECT_EQ(counts().copied_bytes, page);
    fill(base, size, 'c');
    expect(second, 5 * mib, 'a');
    expect(second + 5 * mib, page, 'b');
    expect(second + 5 * mib + page, size - 5 * mib - page, 'a');
}

TEST_P(LateCopiesTest, WhatIsDroppedIsNotCopied) {
    snapshot_until([](const auto& now) { return now.dropped > 0; },
                   [&] {
                       ASSERT_EQ(remap(Call::unmap, {second, size}), 0);
                   });
    EXPECT_TRUE(is_finished());
    EXPECT_EQ(counts().copied_bytes + counts().dropped, counts().deferred);
    fill(base, size / 2, 'c');
    expect(base, size / 2, 'c');
    expect(base + size / 2, size / 2, 'b');
}

TEST_P(LateCopiesTest, TenInARowEachDroppedBeforeTheNext) {
    constexpr uint64_t turn = size / 16;
    for (char letter = 'c'; letter < 'm'; ++letter) {
        fill(base + static_cast<uint64_t>(letter - 'c') * turn, turn, letter);
        ASSERT_EQ(remap(Call::snapshot, {base, second, size, rw, 0}), static_cast<int64_t>(second));
        expect(second + static_cast<uint64_t>(letter - 'c') * turn, turn, letter);
        ASSERT_EQ(remap(Call::unmap, {second, size}), 0);
    }
    EXPECT_TRUE(is_finished());
    for (char letter = 'c'; letter < 'm'; ++letter)
        expect(base + static_cast<uint64_t>(letter - 'c') * turn, turn, letter);
    expect(base + 10 * turn, size - 10 * turn, 'a');
}

TEST_P(LateCopiesTest, ACallOnEitherSideWaitsForAll) {
    snapshot();
    ASSERT_EQ(remap(Call::move, {second, elsewhere, size, 0}), static_cast<int64_t>(elsewhere));
    EXPECT_TRUE(is_finished());
    expect(elsewhere, size, 'b');
    fill(base, size, 'c');
    ASSERT_EQ(remap(Call::snapshot, {base, second, size, rw, 0}), static_cast<int64_t>(second));
    ASSERT_EQ(remap(Call::protect, {base, mib, GPREMAP_PROT_READ}), 0);
    EXPECT_TRUE(is_finished());
    EXPECT_EQ(perform(step(Op::touch, base, page, 1, page)).report.outcome, Outcome::fault);
    for (uint64_t at : {base, second}) expect(at, size, 'c');
    expect(elsewhere, size, 'b');
}

TEST_P(LateCopiesTest, HasTheRightsThatWereAskedFor) {
    snapshot(GPREMAP_PROT_READ);
    EXPECT_EQ(perform(step(Op::touch, second, page, 1, page)).report.outcome, Outcome::fault);
    expect(second, size, 'b');
    wait_for_the_rest();
    EXPECT_EQ(perform(step(Op::touch, second, page, 1, page)).report.outcome, Outcome::fault);
}

// The range is written from its start to its end all the while: a snapshot is of one moment.
TEST_P(LateCopiesTest, IsOfOneMomentBesideAVcpuThatWrites) {
    constexpr char before = 'b', after = 'c';
    fill(base, size, before);
    std::thread writer([&] {
        const auto done = perform(step(Op::fill, base, size, Pattern::byte, after), 1);
        EXPECT_EQ(done.report.outcome, Outcome::ok);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    EXPECT_EQ(remap(Call::snapshot, {base, second, size, rw, 0}), static_cast<int64_t>(second));
    writer.join();
    wait_for_the_rest();
    const std::vector<char> bytes = read(second);
    const auto end = std::ranges::find(bytes, before);
    EXPECT_TRUE(std::all_of(bytes.begin(), end, [](char byte) { return byte == after; }));
    EXPECT_TRUE(std::all_of(end, bytes.end(), [](char byte) { return byte == before; }));
    expect(base, size, after);
}

TEST_P(LateCopiesTest, ACallThatFailsPutsNothingOff) {
    fill(base, size, 'b');
    for (uint64_t point = 0;; ++point) {
        ASSERT_LT(point, 100u) << "never succeeds";
        machine_->remapper().fail_host_call(point);
        if (remap(Call::snapshot, {base, second, size, rw, 0}) >= 0) break;
        EXPECT_EQ(counts().deferred, 0u) << point;
        EXPECT_EQ(perform(step(Op::touch, second, page, 0, page)).report.outcome, Outcome::fault);
        fill(base, page, 'b');
        expect(base, size, 'b');
    }
    fill(base, size, 'c');
    expect(second, size, 'b');
}

constexpr Parameter parameters[] = {
    {{Mechanism::window, Backing::anon}, Older::kept},
    {{Mechanism::window, Backing::anon}, Older::dropped},
    {{Mechanism::memslot, Backing::anon}, Older::kept},
    {{Mechanism::memslot, Backing::anon}, Older::dropped},
    {{Mechanism::window, Backing::memfd}, Older::kept},
    {{Mechanism::window, Backing::memfd}, Older::dropped},
    {{Mechanism::memslot, Backing::memfd}, Older::kept},
    {{Mechanism::memslot, Backing::memfd}, Older::dropped},
};

std::string name_of_parameter(const testing::TestParamInfo<Parameter>& info) {
    return name_of(std::get<Variant>(info.param)) +
           (std::get<Older>(info.param) == Older::kept ? "_copied" : "_folded");
}

INSTANTIATE_TEST_SUITE_P(Parameters, LateCopiesTest, testing::ValuesIn(parameters), name_of_parameter);

}  // namespace
}  // namespace gpremap
