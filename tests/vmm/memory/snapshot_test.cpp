// A snapshot of what has been snapshotted before: what it reads, and how much is copied for it.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "tests/vmm/kvm_test.h"
#include "vmm/guests/agent/orders.h"

namespace gpremap {
namespace {

using abi::Call;
using abi::Pattern;

class SnapshotTest : public KvmTestWith<Variant> {
  protected:
    std::string lack() const override { return lack_of(std::get<Backing>(GetParam()), 256); }
    void prepare() override {
        boot(config_of(GetParam(), 1, 64 * gib));
        ASSERT_GE(remap(Call::map, {base, size, rw, 0}), 0);
        fill(base, size, 'a');
    }

    void fill(uint64_t at, uint64_t bytes, char letter) {
        ASSERT_EQ(perform(step(abi::Op::fill, at, bytes, Pattern::byte, letter)).report.outcome,
                  abi::Outcome::ok);
    }
    void expect(uint64_t at, uint64_t bytes, char letter) {
        EXPECT_EQ(perform(step(abi::Op::verify, at, bytes, Pattern::byte, letter)).report.outcome,
                  abi::Outcome::ok)
            << std::hex << at << " should read " << letter;
    }
    // The range reads 'a' but for one granule that begins at `written`.
    void expect_all_but(uint64_t at, uint64_t written, char letter) {
        expect(at, written, 'a');
        expect(at + written, granule, letter);
        expect(at + written + granule, size - written - granule, 'a');
    }

    uint64_t place(uint64_t number) const { return base + number * gib; }

    // Of the range, to that place. Returns how many bytes were copied for it.
    uint64_t snapshot(uint64_t number, uint64_t prot = rw) {
        Performed done = perform(call(Call::snapshot, base, place(number), size, prot, 0));
        EXPECT_EQ(done.report.result, static_cast<int64_t>(place(number)));
        return done.call.value().syscalls.copied_bytes;
    }

    bool folds() const { return std::get<Backing>(GetParam()) != Backing::hugetlb_2m; }

    const uint64_t granule = granule_of(std::get<Backing>(GetParam()));
    const uint64_t size = 16 * granule;
};

TEST_P(SnapshotTest, CopiesOnlyWhatWasWrittenSinceTheOneBefore) {
    snapshot(1);
    EXPECT_EQ(snapshot(2), 0u);
    fill(base + 3 * granule, granule, 'b');
    EXPECT_EQ(snapshot(3), granule);
    for (uint64_t at : {place(1), place(2)}) expect(at, size, 'a');
    for (uint64_t at : {base, place(3)}) expect_all_but(at, 3 * granule, 'b');
}

// Neither sees what is written to the other afterwards.
TEST_P(SnapshotTest, IsIndependentOfItsSource) {
    snapshot(1);
    fill(base + 3 * granule, granule, 'b');
    snapshot(2);
    fill(base + 3 * granule, granule, 'c');
    fill(place(2) + 5 * granule, granule, 'd');
    expect_all_but(base, 3 * granule, 'c');
    expect(place(1), size, 'a');
    expect(place(2) + 3 * granule, granule, 'b');
    expect(place(2) + 5 * granule, granule, 'd');
    expect(base + 5 * granule, granule, 'a');
}

TEST_P(SnapshotTest, OfManyEachDroppedBeforeTheNext) {
    snapshot(1);
    for (uint64_t i = 2; i < 12; ++i) {
        ASSERT_EQ(remap(Call::unmap, {place(i - 1), size}), 0);
        fill(base + i * granule, granule, 'b');
        // What goes into the object is not copied again; a huge page of hugetlb stays private.
        EXPECT_EQ(snapshot(i), folds() ? granule : (i - 1) * granule) << i;
        expect(place(i) + 2 * granule, (i - 1) * granule, 'b');
        expect(place(i) + (i + 1) * granule, size - (i + 1) * granule, 'a');
    }
    expect(base + 2 * granule, 10 * granule, 'b');
}

TEST_P(SnapshotTest, OfWhatCannotBeReadOrWritten) {
    snapshot(1);
    fill(base, granule, 'b');
    ASSERT_EQ(remap(Call::protect, {base, size, 0}), 0);
    snapshot(2, GPREMAP_PROT_READ);
    expect(place(2), granule, 'b');
    EXPECT_EQ(perform(step(abi::Op::touch, place(2), page, 1, page)).report.outcome, abi::Outcome::fault);
    EXPECT_EQ(perform(step(abi::Op::touch, base, page, 0, page)).report.outcome, abi::Outcome::fault);
    ASSERT_EQ(remap(Call::protect, {base, size, rw}), 0);
    expect(base, granule, 'b');
}

// The last other view goes in the same batch, and is back when a later call of it fails.
TEST_P(SnapshotTest, LeavesAViewAloneThatMayReturn) {
    snapshot(1);
    fill(base, granule, 'b');
    Orders orders(machine_->guest(),
                  [&](unsigned vcpu, const abi::Step& made) { return perform(made, vcpu); });
    const std::vector<abi::BatchCall> calls = {
        {static_cast<uint64_t>(Call::unmap), {place(1), size}, 0},
        {static_cast<uint64_t>(Call::snapshot), {base, place(2), size, rw, 0}, 0},
        {static_cast<uint64_t>(Call::map), {place(3), size, rw, 0}, 0},
    };
    for (uint64_t point = 0;; ++point) {
        ASSERT_LT(point, 100u) << "never succeeds";
        machine_->remapper().fail_host_call(point);
        if (orders.batch(0, calls).performed.report.result == 0) break;
        expect(place(1), size, 'a');
        expect(base, granule, 'b');
        EXPECT_EQ(perform(step(abi::Op::touch, place(2), page, 0, page)).report.outcome, abi::Outcome::fault);
    }
    expect(place(2), granule, 'b');
}

INSTANTIATE_TEST_SUITE_P(Variants, SnapshotTest, testing::ValuesIn(variants), name_of_variant);

}  // namespace
}  // namespace gpremap
