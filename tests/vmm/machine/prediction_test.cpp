// The predicted second-stage table against the host's page tables, and against the table that KVM says it
// has.
//
// What the host has in its page tables is compared on every host; KVM counts its pages with nested paging
// only (tests/npt runs this there), and elsewhere a test that has got that far is skipped, with the reason.
#include "vmm/memory/prediction.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "tests/vmm/kvm_test.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/kvm_comparison.h"

namespace remap::stage2 {

void PrintTo(const Leaves& leaves, std::ostream* out) {
    *out << leaves.of[0] << " of 4 KiB, " << leaves.of[1] << " of 2 MiB, " << leaves.of[2] << " of 1 GiB";
}

}  // namespace remap::stage2

namespace gpremap {
namespace {

using abi::Call;
using abi::Op;
using abi::Outcome;
using remap::stage2::Leaves;

// How often this host has had no huge page to give.
uint64_t huge_pages_refused() {
    std::ifstream vmstat("/proc/vmstat");
    uint64_t value = 0, refused = 0;
    for (std::string name; vmstat >> name >> value;)
        if (name == "thp_fault_fallback" || name == "thp_file_fallback") refused += value;
    return refused;
}

// 2 MiB pages in the host's pool for as long as this lives.
class HugePagePool {
  public:
    explicit HugePagePool(uint64_t pages) : pages_(pages) { write(read() + pages_); }
    ~HugePagePool() { write(read() - pages_); }

  private:
    static constexpr const char* number = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
    static uint64_t read() {
        uint64_t pages = 0;
        std::ifstream(number) >> pages;
        return pages;
    }
    static void write(uint64_t pages) { std::ofstream(number) << pages; }

    uint64_t pages_;
};

// The tests that say how many huge pages there are need a host that gives them.
bool host_gives_huge_pages() {
    return backing_pages(BackingObject(Backing::memfd)).anon == remap::mib2;
}
constexpr const char* no_huge_pages =
    "anonymous memory has no huge pages: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";

class PredictionTest : public KvmTestWith<Mechanism> {
  protected:
    void boot(Backing backing = Backing::automatic) {
        KvmTest::boot(config_of({GetParam(), backing}, 1, 32 * gib));
        refused_before_ = huge_pages_refused();
    }

    // A call that must succeed.
    template <typename... Arguments>
    CallRecord make(Call number, Arguments... arguments) {
        Performed performed = perform(call(number, arguments...));
        EXPECT_GE(performed.report.result, 0) << "call " << std::hex << static_cast<uint64_t>(number);
        return performed.call.value_or(CallRecord{});
    }

    void touch(uint64_t at, uint64_t size) {
        EXPECT_EQ(perform(step(Op::touch, at, size, 1, page)).report.outcome, Outcome::ok);
    }

    void map(uint64_t at, uint64_t size) { make(Call::map, at, size, rw); }

    void map_touched(uint64_t at, uint64_t size) {
        map(at, size);
        touch(at, size);
    }

    Leaves possible() { return remap::stage2::leaves_of(machine_->remapper().possible_pieces()); }
    Leaves resident() { return remap::stage2::leaves_of(machine_->remapper().resident_pieces()); }

    // KVM has mapped exactly what the host's page tables say. khugepaged may come in between once or twice.
    void expect_what_is_resident() {
        constexpr int attempts = 3;
        auto comparison = compare_with_kvm(*machine_);
        for (int i = 1; i < attempts && comparison && !comparison->agree(); ++i)
            comparison = compare_with_kvm(*machine_);
        if (comparison)
            EXPECT_EQ(comparison->reported, comparison->predicted);
        else
            not_compared_ = comparison.error();
    }

    // And all that is mapped is resident, in pages as large as possible: for memory that has been touched
    // everywhere, on a host that had a huge page whenever one was wanted.
    void expect_what_is_possible() {
        expect_what_is_resident();
        if (huge_pages_refused() == refused_before_)
            EXPECT_EQ(resident(), possible());
        else
            not_compared_ = "this host ran out of huge pages";
    }

    // Of a reading vCPU. None of it means anything where small pages may become huge ones meanwhile (khugepaged).
    std::optional<uint64_t> faults_of_reading(uint64_t at, uint64_t size) {
        uint64_t before = machine_->vm().stats().faults;
        EXPECT_EQ(perform(step(Op::touch, at, size, 0, page)).report.outcome, Outcome::ok);
        uint64_t faults = machine_->vm().stats().faults - before;
        if (huge_pages_refused() == refused_before_) return faults;
        not_compared_ = "this host ran out of huge pages";
        return std::nullopt;
    }

    void skip_if_not_compared() {
        if (!not_compared_.empty()) GTEST_SKIP() << not_compared_;
    }

    // Has the host make huge pages of the small ones that it has there.
    void collapse(uint64_t at, uint64_t size) {
        constexpr int madv_collapse = 25;  // Linux 6.1
        for (const Vm::Slot& slot : machine_->vm().slots_in(remap::Range::of(remap::Gpa{at}, {size})))
            for (uint64_t gpa = (std::max(slot.gpa, at) + large - 1) / large * large;
                 gpa + large <= std::min(slot.gpa + slot.size, at + size); gpa += large)
                ASSERT_EQ(madvise(slot.host + (gpa - slot.gpa), large, madv_collapse), 0) << strerror(errno);
    }

    uint64_t refused_before_ = 0;
    std::string not_compared_;
};

INSTANTIATE_TEST_SUITE_P(Mechanisms, PredictionTest, testing::Values(Mechanism::window, Mechanism::memslot),
                         [](const auto& which) {
                             return which.param == Mechanism::window ? "Window" : "Memslot";
                         });

TEST_P(PredictionTest, OfAnEmptySpace) {
    boot();
    EXPECT_EQ(possible(), Leaves{});
    expect_what_is_possible();
    skip_if_not_compared();
}

TEST_P(PredictionTest, OfSizesAndAlignments) {
    boot();
    uint64_t at = base;
    for (uint64_t size : {page, mib, large - page, large, large + page, 3 * large - page, 32 * mib}) {
        for (uint64_t skew : {uint64_t{0}, page, mib, large - page}) {
            SCOPED_TRACE(std::to_string(size / kib) + " KiB, " + std::to_string(skew / kib) +
                         " KiB off 2 MiB");
            map_touched(at + skew, size);
            expect_what_is_possible();
            make(Call::unmap, at + skew, size);
            at += 64 * mib;
        }
    }
    EXPECT_EQ(resident(), Leaves{});
    skip_if_not_compared();
}

TEST_P(PredictionTest, OfManyRangesSideBySide) {
    boot();
    uint64_t at = base + 3 * page;
    for (uint64_t size : {page, large, mib, 5 * large, large - page, 2 * page, large + mib}) {
        map_touched(at, size);
        at += size + 7 * page;
    }
    expect_what_is_possible();
    skip_if_not_compared();
}

TEST_P(PredictionTest, AcrossGigabytes) {
    boot();
    map_touched(base + gib - 3 * mib, 6 * mib);
    map_touched(base + 3 * gib - large, 2 * large);
    expect_what_is_possible();
    skip_if_not_compared();
}

// One range for the guest, or two that only attributes tell apart: one mapping for the host.
TEST_P(PredictionTest, OfRangesThatGrewTogether) {
    boot();
    map(base, mib);
    map(base + mib, 3 * mib);
    make(Call::lock, base + 3 * mib, mib);
    touch(base, 4 * mib);
    expect_what_is_possible();
    skip_if_not_compared();
}

TEST_P(PredictionTest, OfMovedMemory) {
    boot();
    map_touched(base, 16 * mib);
    uint64_t from = base;
    for (uint64_t to : {base + 5 * gib, base + 6 * gib + large, base + 8 * gib}) {
        make(Call::move, from, to, 16 * mib, 0);
        from = to;
        SCOPED_TRACE(to);
        expect_what_is_possible();
    }
    skip_if_not_compared();
}

// The window's memory moves on the host and loses its huge pages: they can be made anew. A memslot keeps its
// memory, and it is not congruent any more.
TEST_P(PredictionTest, OfMemoryMovedOffByAPage) {
    if (!host_gives_huge_pages()) GTEST_SKIP() << no_huge_pages;
    boot();
    map_touched(base, 16 * mib);
    make(Call::move, base, base + gib + page, 16 * mib, 0);
    expect_what_is_resident();
    EXPECT_EQ(resident(), (Leaves{{16 * mib / page, 0, 0}}));
    auto outlook = machine_->remapper().map().at(0).outlook;
    if (GetParam() == Mechanism::window) {
        EXPECT_EQ(outlook.leaves, (Leaves{{512, 7, 0}}));
        EXPECT_EQ(outlook.obstacles[1], remap::stage2::Obstacles{.size = true});
        collapse(base + gib + page, 16 * mib);
    } else {
        EXPECT_TRUE(outlook.obstacles[1].congruence);
    }
    expect_what_is_possible();
    skip_if_not_compared();
}

TEST_P(PredictionTest, OfProtectedParts) {
    if (!host_gives_huge_pages()) GTEST_SKIP() << no_huge_pages;
    boot();
    map_touched(base, 16 * mib);
    make(Call::protect, base + large, large, GPREMAP_PROT_READ);
    expect_what_is_possible();
    make(Call::protect, base + 2 * large + 5 * page, page, GPREMAP_PROT_READ);
    expect_what_is_possible();
    make(Call::protect, base + 3 * large, large, 0);
    expect_what_is_possible();
    EXPECT_EQ(possible(), (Leaves{{512, 6, 0}}));
    skip_if_not_compared();
}

TEST_P(PredictionTest, OfReleasedMemory) {
    boot();
    map_touched(base, 8 * mib);
    make(Call::release, base + large, large);
    expect_what_is_resident();
    make(Call::release, base, 8 * mib);
    EXPECT_EQ(resident(), Leaves{});
    expect_what_is_resident();
    skip_if_not_compared();
}

TEST_P(PredictionTest, OfAliases) {
    boot();
    map_touched(base, 16 * mib);
    make(Call::alias, base + 4 * mib, base + 2 * gib, 4 * mib, GPREMAP_PROT_READ, 0);
    make(Call::alias, base + 5 * mib, base + 3 * gib + page, mib, GPREMAP_PROT_READ | GPREMAP_PROT_WRITE, 0);
    touch(base, 16 * mib);
    touch(base + 3 * gib + page, mib);
    perform(step(Op::touch, base + 2 * gib, 4 * mib, 0, page));
    expect_what_is_possible();
    skip_if_not_compared();
}

TEST_P(PredictionTest, OfSnapshots) {
    boot();
    map_touched(base, 8 * mib);
    make(Call::snapshot, base, base + 2 * gib, 8 * mib, GPREMAP_PROT_PREVIOUS, 0);
    expect_what_is_resident();
    touch(base, 8 * mib);
    touch(base + 2 * gib, 8 * mib);
    expect_what_is_possible();
    skip_if_not_compared();
}

TEST_P(PredictionTest, OfMemfds) {
    boot(Backing::memfd);
    map_touched(base + page, 8 * mib);
    expect_what_is_possible();
    // Where the host gives none by itself, it makes huge pages when it is asked to.
    if (resident().of[1] == 0) collapse(base + page, 8 * mib);
    expect_what_is_resident();
    EXPECT_EQ(resident().of[1], 3u);
    make(Call::move, base + page, base + gib + page, 8 * mib, 0);
    expect_what_is_resident();
    EXPECT_EQ(resident().of[1], 3u);
    skip_if_not_compared();
}

// The first alias copies the range into huge pages, and both views, moved or not, are mapped with them.
TEST_P(PredictionTest, AliasedMemoryStaysInHugePages) {
    if (BackingObject(Backing::memfd).pages() != BackingObject::Pages::transparent)
        GTEST_SKIP() << "see gpremap doctor: THP for shmem";
    constexpr uint64_t size = 32 * mib, view = base + 2 * gib, elsewhere = base + 5 * gib + 6 * large;
    boot();
    map_touched(base, size);
    CallRecord alias = make(Call::alias, base, view, size, rw, 0);
    EXPECT_EQ(alias.syscalls.copies, 1u);
    EXPECT_EQ(make(Call::move, base, elsewhere, size, 0).huge_kept, true);
    touch(view, size);
    touch(elsewhere, size);
    expect_what_is_possible();
    if (not_compared_.empty()) {
        EXPECT_EQ(resident(), (Leaves{{0, 2 * size / large, 0}}));
    }
    uint64_t faults = machine_->vm().stats().faults;
    touch(view, size);
    EXPECT_EQ(machine_->vm().stats().faults, faults);
    skip_if_not_compared();
}

TEST_P(PredictionTest, OfHugePagesFromThePool) {
    constexpr uint64_t pages = 24;
    HugePagePool pool(pages);
    if (free_pages(Backing::hugetlb_2m) < pages)
        GTEST_SKIP() << "this user, or host, cannot have 2 MiB pages reserved";
    boot(Backing::hugetlb_2m);
    map_touched(base + large, 16 * large);
    expect_what_is_possible();
    EXPECT_EQ(resident(), (Leaves{{0, 16, 0}}));
    make(Call::alias, base + large, base + 3 * gib, 2 * large, GPREMAP_PROT_READ | GPREMAP_PROT_WRITE, 0);
    touch(base + 3 * gib, 2 * large);
    expect_what_is_possible();
    make(Call::move, base + large, base + 5 * gib + 3 * large, 16 * large, 0);
    touch(base + 5 * gib + 3 * large, 16 * large);
    expect_what_is_possible();
    skip_if_not_compared();
}

// One entry maps a whole gigabyte, and still does where it has moved to.
TEST_P(PredictionTest, OfPagesOfAGibibyte) {
    if (free_pages(Backing::hugetlb_1g) < 2) GTEST_SKIP() << "needs 2 free pages of 1 GiB";
    boot(Backing::hugetlb_1g);
    map_touched(base, gib);
    expect_what_is_possible();
    EXPECT_EQ(resident(), (Leaves{{0, 0, 1}}));
    uint64_t memory = machine_->remapper().resident_bytes();
    EXPECT_TRUE(make(Call::move, base, base + 8 * gib, gib, 0).huge_kept);
    touch(base + 8 * gib, gib);
    expect_what_is_possible();
    EXPECT_EQ(resident(), (Leaves{{0, 0, 1}}));
    EXPECT_EQ(machine_->remapper().resident_bytes(), memory);
    make(Call::alias, base + 8 * gib, base, gib, rw, 0);
    touch(base, gib);
    expect_what_is_possible();
    EXPECT_EQ(resident(), (Leaves{{0, 0, 2}}));
    map_touched(base + 16 * gib, gib);
    make(Call::exchange, base + 8 * gib, base + 16 * gib, gib);
    touch(base + 16 * gib, gib);
    expect_what_is_possible();
    EXPECT_EQ(perform(call(Call::map, base + 24 * gib, gib, rw)).report.result,
              -ENOMEM);  // the host has no third
    skip_if_not_compared();
}

// Whatever the guest does, what KVM maps follows from slots, rights and the host's page tables.
TEST_P(PredictionTest, OfRandomCalls) {
    boot();
    uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    auto below = [&](uint64_t end) { return std::uniform_int_distribution<uint64_t>(0, end - 1)(random); };
    auto place = [&] { return base + gib - 16 * mib + below(2) * gib + below(32) * mib + below(2) * page; };
    const Call calls[] = {Call::map,     Call::map,   Call::move,     Call::move,     Call::unmap,
                          Call::protect, Call::alias, Call::exchange, Call::snapshot, Call::release};
    for (int i = 0; i < 150 && !HasFailure(); ++i) {
        uint64_t at = place(), to = place(), size = below(2) ? (1 + below(8)) * mib : (1 + below(600)) * page;
        switch (Call number = calls[below(std::size(calls))]) {
            case Call::map:
                perform(call(number, at, size, rw, 0));
                break;
            case Call::move:
                perform(call(number, at, to, size, GPREMAP_FLAG_REPLACE | GPREMAP_FLAG_KEEP_HOLES));
                break;
            case Call::protect:
                perform(call(number, at, size, below(4)));
                break;
            case Call::alias:
            case Call::snapshot:
                perform(call(number, at, to, size, GPREMAP_PROT_PREVIOUS, GPREMAP_FLAG_REPLACE));
                break;
            case Call::exchange:
                perform(call(number, at, to, size));
                break;
            default:
                perform(call(number, at, size));
        }
        perform(step(Op::touch, at, size, below(2), page));
        if (i % 5 == 4) expect_what_is_resident();
    }
    skip_if_not_compared();
}

// The table in docs/architecture.md.
TEST_P(PredictionTest, OfMemslotIoctls) {
    boot();
    bool window = GetParam() == Mechanism::window;
    auto ioctls = [&](auto... call) { return make(call...).syscalls.memslot_ioctls; };
    uint64_t a = base, b = base + 64 * mib, elsewhere = base + 2 * gib, size = 8 * mib;
    EXPECT_EQ(ioctls(Call::map, a, size, rw), 1u);
    EXPECT_EQ(ioctls(Call::map, b, size, rw), window ? 0u : 1u);
    EXPECT_EQ(ioctls(Call::exchange, a, b, size), window ? 0u : 3u);
    EXPECT_EQ(ioctls(Call::protect, a + large, large, GPREMAP_PROT_READ), 0u);
    EXPECT_EQ(ioctls(Call::release, a, size), 0u);
    EXPECT_EQ(ioctls(Call::move, a, elsewhere, size, 0), 1u);
    EXPECT_EQ(ioctls(Call::move, elsewhere, a, size, 0), window ? 0u : 1u);
    EXPECT_EQ(ioctls(Call::alias, b, elsewhere, size, rw, 0), window ? 0u : 1u);
    EXPECT_EQ(ioctls(Call::unmap, elsewhere, size), window ? 0u : 1u);
    EXPECT_EQ(ioctls(Call::move, b, elsewhere, large, 0), window ? 0u : 4u);
    EXPECT_EQ(ioctls(Call::unmap, b + 2 * large, large), window ? 0u : 7u);
    EXPECT_EQ(ioctls(Call::map, base + 4 * gib - large, 2 * large, rw), window ? 2u : 1u);
}

// The counts are exact.
TEST_P(PredictionTest, MovedHugePagesArePreFaultedWhole) {
    if (!host_gives_huge_pages()) GTEST_SKIP() << no_huge_pages;
    constexpr uint64_t size = gib;
    boot();
    map_touched(base, size);
    expect_what_is_possible();
    // The window opens a slot for the destination once; a memslot is moved by one ioctl each time.
    bool window = GetParam() == Mechanism::window;
    EXPECT_EQ(make(Call::move, base, base + 4 * gib, size, 0).syscalls.memslot_ioctls, 1u);
    EXPECT_EQ(make(Call::move, base + 4 * gib, base, size, 0).syscalls.memslot_ioctls, window ? 0u : 1u);
    CallRecord record = make(Call::move, base, base + 4 * gib, size, 0);
    EXPECT_EQ(record.syscalls.memslot_ioctls, window ? 0u : 1u);
    EXPECT_TRUE(record.huge_kept);

    expect_what_is_possible();
    uint64_t faults = machine_->vm().stats().faults;
    touch(base + 4 * gib, size);
    if (not_compared_.empty()) {
        EXPECT_EQ(possible(), (Leaves{{0, size / large, 0}}));
        EXPECT_EQ(machine_->vm().stats().faults, faults);
    }
    skip_if_not_compared();
}

// ... by the call itself, where that is configured; only what the host has, so that nothing is made for it.
TEST_P(PredictionTest, CallsPreFaultWhatTheyMove) {
    if (!Kvm().capabilities().pre_fault) GTEST_SKIP() << "this host's KVM has no KVM_PRE_FAULT_MEMORY";
    constexpr uint64_t size = 64 * mib, to = base + 4 * gib, other = base + 8 * gib;
    for (Backing backing : {Backing::anon, Backing::memfd}) {
        SCOPED_TRACE(name_of(backing));
        MachineConfig config = config_of({GetParam(), backing}, 1, 32 * gib);
        config.memory.pre_fault = true;
        KvmTest::boot(config);
        refused_before_ = huge_pages_refused();
        map(base, size);
        touch(base, size / 2);
        uint64_t resident = machine_->remapper().resident_bytes();
        EXPECT_EQ(make(Call::move, base, to, size, 0).pre_faulted, size / 2);
        EXPECT_EQ(machine_->remapper().resident_bytes(), resident);
        EXPECT_EQ(faults_of_reading(to, size / 2).value_or(0), 0u);

        map_touched(other, size);
        EXPECT_EQ(make(Call::exchange, to, other, size).pre_faulted, size + size / 2);
        EXPECT_EQ(faults_of_reading(to, size / 2).value_or(0), 0u);
        EXPECT_EQ(faults_of_reading(other, size / 2).value_or(0), 0u);
        EXPECT_EQ(make(Call::protect, to, size, GPREMAP_PROT_READ).pre_faulted, 0u);
    }
    skip_if_not_compared();
}

TEST_P(PredictionTest, GrowsPreFaultWhatComesFromThePool) {
    if (!Kvm().capabilities().pre_fault) GTEST_SKIP() << "this host's KVM has no KVM_PRE_FAULT_MEMORY";
    MachineConfig config = config_of({GetParam(), Backing::automatic}, 1, 32 * gib);
    config.memory.pre_fault = true;
    config.memory.pool = 32 * mib;
    machine_ = std::make_unique<Machine>(config);
    CallRecord record = make(Call::map, base, 48 * mib, rw);
    EXPECT_EQ(record.pool.taken, 32 * mib);
    EXPECT_EQ(record.pre_faulted, 32 * mib);
    uint64_t faults = machine_->vm().stats().faults;
    touch(base, 32 * mib);
    EXPECT_EQ(machine_->vm().stats().faults, faults);
}

}  // namespace
}  // namespace gpremap
