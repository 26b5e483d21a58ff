// The host's pool of huge pages: what is mapped is reserved, and given back whole, touched or not, whatever others
// do to the pool meanwhile.
//
// The fixture holds the pool against what it was before. Others may use it, too: where a test repeats calls, it
// is until a page lost each time would have used the pool up.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <fstream>
#include <string>

#include "remap/range.h"
#include "tests/vmm/kvm_test.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

using abi::Call;

// The pool's size is another one as long as this lives.
class PoolSize {
  public:
    explicit PoolSize(uint64_t pages) {
        std::ifstream(setting) >> before_;
        set(pages);
    }
    ~PoolSize() { set(before_); }
    PoolSize(const PoolSize&) = delete;
    PoolSize& operator=(const PoolSize&) = delete;

    static bool can_be_set() { return std::ofstream(setting, std::ios::app).is_open(); }

  private:
    static constexpr const char* setting = "/proc/sys/vm/nr_hugepages";
    static void set(uint64_t pages) { std::ofstream(setting) << pages; }

    uint64_t before_ = 0;
};

class HugetlbTest : public KvmTestWith<Mechanism> {
  protected:
    std::string lack() const override { return lack_of(Backing::hugetlb_2m, 32); }
    void prepare() override {
        pool_ = free_pages(Backing::hugetlb_2m);
        boot(config_of({GetParam(), Backing::hugetlb_2m}, 1, 32 * gib));
    }

    int64_t make(const abi::Step& step) { return perform(step).report.result; }

    void map_filled(uint64_t at, uint64_t pages) {
        ASSERT_EQ(make(call(Call::map, at, pages * large, rw)), static_cast<int64_t>(at));
        make(step(abi::Op::fill, at, pages * large, abi::Pattern::byte, 'a'));
    }
    void snapshot(uint64_t from, uint64_t to, uint64_t pages) {
        ASSERT_EQ(make(call(Call::snapshot, from, to, pages * large, GPREMAP_PROT_PREVIOUS, 0)),
                  static_cast<int64_t>(to));
    }
    void move(uint64_t from, uint64_t to, uint64_t pages = 1) {
        ASSERT_EQ(make(call(Call::move, from, to, pages * large, 0)), static_cast<int64_t>(to));
    }
    // Each page of it is there for a write, and reads as it was filled.
    void expect_provided(uint64_t at, uint64_t pages) {
        for (uint64_t page = at; page < at + pages * large; page += large) {
            EXPECT_EQ(perform(step(abi::Op::verify, page, large, abi::Pattern::byte, 'a')).report.outcome,
                      abi::Outcome::ok)
                << page;
            EXPECT_EQ(perform(step(abi::Op::access, page, abi::FaultKind::write, 1)).report.outcome,
                      abi::Outcome::ok)
                << page;
        }
    }

    uint64_t pool_ = 0;  // pages
};

TEST_P(HugetlbTest, UntouchedPagesGoBackToThePool) {
    for (uint64_t time = 0; time <= pool_; time++) {
        ASSERT_EQ(make(call(Call::map, base, 4 * large, rw)), static_cast<int64_t>(base)) << time;
        make(step(abi::Op::access, base + large, abi::FaultKind::write, 1));
        ASSERT_EQ(make(call(Call::unmap, base, 4 * large)), 0) << time;
    }
}

TEST_P(HugetlbTest, GrowsThatAreTakenBackGoBackToThePool) {
    ASSERT_EQ(make(call(Call::map, base, large, rw)), static_cast<int64_t>(base));
    for (uint64_t time = 0; time <= pool_; time++) {
        ASSERT_EQ(make(call(Call::grow, base, large, 4 * large, 0)), static_cast<int64_t>(base)) << time;
        ASSERT_EQ(make(call(Call::shrink, base, 4 * large, large)), static_cast<int64_t>(base)) << time;
    }
}

TEST_P(HugetlbTest, MapThatThePoolIsTooSmallForTakesNothing) {
    uint64_t fits = pool_ / 2 * large;
    for (int time = 0; time < 4; time++) {
        ASSERT_EQ(make(call(Call::map, base, fits + (pool_ + 1) * large, rw)), -ENOMEM) << time;
        ASSERT_EQ(make(call(Call::map, base, fits, rw)), static_cast<int64_t>(base)) << time;
        ASSERT_EQ(make(call(Call::unmap, base, fits)), 0) << time;
    }
}

// Linux forgets what it has promised to a private mapping of which a part moves.
TEST_P(HugetlbTest, PartOfAnUntouchedSnapshotMovesAndTheRestKeepsItsPages) {
    constexpr uint64_t view = base + gib, elsewhere = base + 2 * gib;
    map_filled(base, 4);
    snapshot(base, view, 4);
    move(view + large, elsewhere);
    const uint64_t rest = free_pages(Backing::hugetlb_2m);
    ASSERT_EQ(make(call(Call::map, base + 4 * gib, rest * large, rw)), static_cast<int64_t>(base + 4 * gib));
    expect_provided(view, 1);
    expect_provided(elsewhere, 1);
    expect_provided(view + 2 * large, 2);
    expect_provided(base, 4);
}

TEST_P(HugetlbTest, PartsOfUntouchedSnapshotsGoBackToThePool) {
    constexpr uint64_t view = base + gib, elsewhere = base + 2 * gib;
    for (uint64_t time = 0; time < 8; time++) {
        map_filled(base, 3);
        snapshot(base, view, 3);
        move(base + large, elsewhere);                                             // of the source, too
        ASSERT_EQ(make(call(Call::exchange, view + large, elsewhere, large)), 0);  // by way of a third place
        move(view, view + 3 * large);                                              // to beside what it left
        ASSERT_EQ(
            make(call(Call::snapshot, view + large, base + 3 * gib, 2 * large, GPREMAP_PROT_PREVIOUS, 0)),
            static_cast<int64_t>(base + 3 * gib));
        ASSERT_EQ(make(call(Call::alias, base + 3 * gib + large, base + 5 * gib, large, rw, 0)),
                  static_cast<int64_t>(base + 5 * gib));  // promotes a part
        move(view + large, view + 2 * large + gib, 2);
        ASSERT_EQ(make(call(Call::linux_munmap, base, 16 * gib)), 0);
    }
}

// Whoever makes the pool smaller gets what is free, and nothing of what a VM has been promised.
TEST_P(HugetlbTest, PoolThatAnotherShrinksKeepsItsPromisesAndGivesNoMore) {
    if (!PoolSize::can_be_set()) GTEST_SKIP() << "the size of the pool can be set by root alone";
    constexpr uint64_t view = base + gib, fresh = base + 2 * gib, elsewhere = base + 3 * gib;
    map_filled(base, 2);
    snapshot(base, view, 2);
    ASSERT_EQ(make(call(Call::map, fresh, 2 * large, rw)), static_cast<int64_t>(fresh));
    {
        PoolSize shrunk(0);
        ASSERT_EQ(free_pages(Backing::hugetlb_2m), 0u);
        EXPECT_EQ(make(call(Call::map, elsewhere, large, rw)), -ENOMEM);
        EXPECT_EQ(make(call(Call::grow, fresh, 2 * large, 3 * large, 0)), -ENOMEM);
        EXPECT_EQ(make(call(Call::snapshot, fresh, elsewhere, large, GPREMAP_PROT_PREVIOUS, 0)), -ENOMEM);
        EXPECT_EQ(make(call(Call::alias, view, elsewhere, large, rw, 0)), -ENOMEM);
        EXPECT_EQ(machine_->remapper().map().size(), 3u);
        // What needs no page is made.
        move(view + large, elsewhere);
        ASSERT_EQ(make(call(Call::alias, fresh, base + 4 * gib, large, rw, 0)),
                  static_cast<int64_t>(base + 4 * gib));
        expect_provided(base, 2);
        expect_provided(view, 1);
        expect_provided(elsewhere, 1);
        make(step(abi::Op::fill, fresh, 2 * large, abi::Pattern::byte, 'a'));
        expect_provided(fresh, 2);
        ASSERT_EQ(make(call(Call::unmap, base, 2 * large)), 0);
    }
    ASSERT_EQ(make(call(Call::map, base, 2 * large, rw)), static_cast<int64_t>(base));
    make(step(abi::Op::fill, base, 2 * large, abi::Pattern::byte, 'a'));
    expect_provided(base, 2);
}

// A promise that the host has not kept: pages in place of the VM's that nothing was reserved for.
TEST_P(HugetlbTest, AccessWhosePageIsNotThereNamesThePool) {
    if (!PoolSize::can_be_set()) GTEST_SKIP() << "the size of the pool can be set by root alone";
    ASSERT_EQ(make(call(Call::map, base, large, rw)), static_cast<int64_t>(base));
    const auto slots = machine_->vm().slots_in(remap::Range::of(remap::Gpa{base}, remap::Size{large}));
    ASSERT_EQ(slots.size(), 1u);
    void* const at = slots[0].host + (base - slots[0].gpa);
    constexpr int unreserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE | MAP_FIXED;
    ASSERT_EQ(mmap(at, large, PROT_READ | PROT_WRITE, unreserved, -1, 0), at);
    const PoolSize shrunk(0);
    try {
        perform(step(abi::Op::access, base, abi::FaultKind::write, 1));
        FAIL() << "the access got through";
    } catch (const GuestDied& death) {
        EXPECT_NE(std::string(death.what()).find(" pages of 2 MiB, 0 free, "), std::string::npos)
            << death.what();
    }
}

TEST_P(HugetlbTest, WhatIsTakenFromThePoolIsNamed) {
    const HugePageAccount account(large);
    ASSERT_EQ(account.difference(), std::nullopt);
    ASSERT_EQ(make(call(Call::map, base, 2 * large, rw)), static_cast<int64_t>(base));
    const HugePages now = *read_huge_pages(large);
    const auto difference = account.difference();
    ASSERT_TRUE(difference);
    EXPECT_NE(difference->find("now, " + describe(now, large)), std::string::npos) << *difference;
}

INSTANTIATE_TEST_SUITE_P(Mechanisms, HugetlbTest, testing::Values(Mechanism::window, Mechanism::memslot),
                         name_of_mechanism);

}  // namespace
}  // namespace gpremap
