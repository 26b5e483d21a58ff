// Every call is all or nothing: for each call, and each system call and each allocation inside it, that one
// is made to fail. Map, contents, rights and residency are then as before, and the same call succeeds after.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "tests/kvm/failing_allocations.h"
#include "vmm/errors.h"
#include "vmm/kvm.h"
#include "vmm/machine.h"
#include "vmm/vm.h"

namespace gpremap {
namespace {

using abi::Call;
using Arguments = std::array<uint64_t, 6>;

constexpr uint64_t page = 4096;
constexpr uint64_t base = 4ull << 30;
constexpr uint64_t pages = 24;  // of the window that is compared
constexpr uint64_t rw = abi::prot_read | abi::prot_write;

constexpr uint64_t at(uint64_t number) {
    return base + number * page;
}

struct Trial {
    std::string name;
    Call number;
    Arguments args;
};

// The picture before each call, one character a page:   aabb|cc.dD_..ss....  then free
//   a-d written; D read-only; _ no access; s shared and seen a second time at page 20
std::vector<Trial> trials() {
    namespace lf = abi::linux_flags;
    uint64_t fixed = lf::mremap_maymove | lf::mremap_fixed;
    return {
        {"map", Call::map, {at(7), page, rw, 0}},
        {"map over something", Call::map, {at(2), 8 * page, rw, abi::flag_replace}},
        {"map anywhere", Call::map, {0, 600 * page, rw, abi::flag_anywhere}},
        {"unmap", Call::unmap, {at(1), 5 * page}},
        {"unmap shared", Call::unmap, {at(12), 2 * page}},
        {"move", Call::move, {at(0), at(100), 6 * page, 0}},
        {"move overlapping up", Call::move, {at(8), at(9), 2 * page, abi::flag_replace}},
        {"move overlapping down", Call::move, {at(8), at(7), 3 * page, 0}},
        {"move over something", Call::move, {at(0), at(12), 2 * page, abi::flag_replace}},
        {"move with holes", Call::move, {at(4), at(100), 10 * page, abi::flag_keep_holes}},
        {"grow in place", Call::grow, {at(12), 2 * page, 4 * page, 0}},
        {"grow that moves", Call::grow, {at(0), 4 * page, 700 * page, abi::flag_may_move}},
        {"shrink", Call::shrink, {at(0), 6 * page, page}},
        {"alias", Call::alias, {at(0), at(100), 6 * page, abi::prot_read, 0}},
        {"alias of no access", Call::alias, {at(8), at(100), 3 * page, abi::prot_previous, 0}},
        {"alias over something", Call::alias, {at(0), at(12), 2 * page, rw, abi::flag_replace}},
        {"protect", Call::protect, {at(0), 6 * page, abi::prot_read}},
        {"protect, no access", Call::protect, {at(8), 3 * page, 0}},
        {"release", Call::release, {at(0), 6 * page}},
        {"release shared", Call::release, {at(12), 2 * page}},
        {"exchange", Call::exchange, {at(0), at(12), 2 * page}},
        {"snapshot", Call::snapshot, {at(0), at(100), 6 * page, abi::prot_previous, 0}},
        {"snapshot of shared", Call::snapshot, {at(12), at(100), 2 * page, abi::prot_read, 0}},
        {"lock", Call::lock, {at(0), 6 * page}},
        {"pin", Call::pin, {at(0), 6 * page}},
        {"seal", Call::seal, {at(0), 6 * page}},
        {"linux grow", Call::linux_mremap, {at(4), 2 * page, 9 * page, lf::mremap_maymove, 0}},
        {"linux fixed", Call::linux_mremap, {at(0), 14 * page, 14 * page, fixed, at(100)}},
        {"linux fixed over something", Call::linux_mremap, {at(0), 4 * page, 2 * page, fixed, at(12)}},
        {"linux leaves zero",
         Call::linux_mremap,
         {at(0), 14 * page, 14 * page, fixed | lf::mremap_dontunmap, at(100)}},
        {"linux duplicate", Call::linux_mremap, {at(12), 0, 5 * page, lf::mremap_maymove, 0}},
        {"linux mmap",
         Call::linux_mmap,
         {at(0), 14 * page, rw, lf::map_private | lf::map_anonymous | lf::map_fixed}},
        {"linux munmap", Call::linux_munmap, {at(0), 14 * page}},
        {"linux dontneed", Call::linux_madvise, {at(0), 6 * page, lf::madv_dontneed}},
        {"linux remove", Call::linux_madvise, {at(12), 2 * page, lf::madv_remove}},
        {"netbsd larger duplicate",
         Call::netbsd_mremap,
         {at(0), 4 * page, 0, 7 * page, abi::netbsd_flags::map_remapdup}},
        {"netbsd aligned",
         Call::netbsd_mremap,
         {at(4), 2 * page, 0, 3 * page, 21ull << abi::netbsd_flags::map_alignment_shift}},
        {"utek move", Call::utek_mremap, {at(0), at(100), 6 * page, abi::prot_read}},
        {"utek release",
         Call::utek_mremap,
         {at(0), at(100), 6 * page, abi::utek_flags::release_zfill | abi::utek_flags::previous}},
    };
}

// What must not change.
struct Picture {
    std::vector<MapEntry> map;
    std::vector<std::string> contents;  // of each page, empty where it cannot be read
    uint64_t resident;
};

class AtomicityTest : public testing::TestWithParam<std::tuple<Mechanism, Backing>> {
  protected:
    void SetUp() override {
        try {
            Kvm kvm;
        } catch (const HostLacks& lack) {
            GTEST_SKIP() << lack.what();
        }
    }

    int64_t call(Call number, const Arguments& args) { return machine_->remapper().call(0, number, args); }

    void must(Call number, const Arguments& args) { ASSERT_GE(call(number, args), 0); }

    void fill(uint64_t from, uint64_t count, char letter) {
        abi::Step step{};
        step.op = abi::Op::fill;
        step.arg[0] = at(from);
        step.arg[1] = count * page;
        step.arg[3] = static_cast<uint64_t>(letter);
        ASSERT_EQ(machine_->perform(0, step).report.outcome, abi::Outcome::ok);
    }

    void draw() {
        MachineConfig config;
        config.memory.aperture_base = base;
        config.memory.aperture_size = 2ull << 30;
        std::tie(config.memory.mechanism, config.memory.backing) = GetParam();
        machine_ = std::make_unique<Machine>(config);
        must(Call::map, {at(0), 4 * page, rw, 0});
        must(Call::map, {at(4), 2 * page, rw, 0});
        must(Call::map, {at(8), 3 * page, rw, 0});
        must(Call::map, {at(12), 2 * page, rw, abi::flag_shared});
        fill(0, 2, 'a');
        fill(2, 2, 'b');
        fill(4, 2, 'c');
        fill(8, 2, 'd');
        fill(10, 1, 'e');
        fill(12, 2, 's');
        must(Call::protect, {at(9), page, abi::prot_read});
        must(Call::protect, {at(10), page, 0});
        must(Call::alias, {at(12), at(20), 2 * page, rw, 0});
    }

    Picture look() {
        Picture picture{machine_->remapper().map(), {}, machine_->remapper().resident_bytes()};
        for (uint64_t number = 0; number < pages; ++number) {
            std::string bytes(page, '\0');
            bytes.resize(machine_->vm().read_guest(at(number), std::as_writable_bytes(std::span(bytes))));
            picture.contents.push_back(bytes);
        }
        return picture;
    }

    void expect_unchanged(const Picture& before) {
        Picture now = look();
        EXPECT_EQ(now.resident, before.resident);
        EXPECT_TRUE(now.contents == before.contents);
        ASSERT_EQ(now.map.size(), before.map.size());
        for (size_t i = 0; i < now.map.size(); ++i) {
            const MapEntry &a = now.map[i], &b = before.map[i];
            EXPECT_TRUE(a.at == b.at && a.size == b.size && a.prot == b.prot &&
                        a.attributes == b.attributes && a.backing == b.backing)
                << "extent " << i;
        }
        // And the rights are what they were: the guest can write where it could.
        fill(0, 2, 'a');
        fill(12, 2, 's');
    }

    // Lets the call fail at each point in turn until it comes through; returns how many points there were.
    int fail_everywhere(const Trial& trial, const std::function<void(int)>& arm) {
        for (int point = 0; point < 2000; ++point) {
            SCOPED_TRACE(trial.name + ", failure at point " + std::to_string(point));
            Picture before = look();
            arm(point);
            int64_t result = call(trial.number, trial.args);
            allocations_left = -1;
            if (result >= 0) return point;
            EXPECT_EQ(result, -ENOMEM);
            expect_unchanged(before);
            if (HasFailure()) return point;
        }
        ADD_FAILURE() << trial.name << " never succeeds";
        return 0;
    }

    std::unique_ptr<Machine> machine_;
};

TEST_P(AtomicityTest, SystemCallsThatFail) {
    int points = 0;
    for (const Trial& trial : trials()) {
        draw();
        points += fail_everywhere(
            trial, [&](int point) { machine_->remapper().fail_host_call(static_cast<uint64_t>(point)); });
        if (HasFailure()) return;
    }
    EXPECT_GT(points, 50);
}

TEST_P(AtomicityTest, AllocationsThatFail) {
    int points = 0;
    for (const Trial& trial : trials()) {
        draw();
        points += fail_everywhere(trial, [](int point) { allocations_left = point; });
        if (HasFailure()) return;
    }
    EXPECT_GT(points, 200);
}

// Limits: what a call would need beyond them.
TEST_P(AtomicityTest, LimitsThatAreReached) {
    int refused = 0;
    for (const Trial& trial : trials()) {
        draw();
        Picture before = look();
        for (auto [memory, extents] :
             {std::pair{page, uint64_t{1} << 20}, std::pair{uint64_t{1} << 30, uint64_t{1}}}) {
            SCOPED_TRACE(trial.name);
            machine_->remapper().set_limits(memory, uint64_t{1} << 40, extents);
            int64_t result = call(trial.number, trial.args);
            if (result >= 0) break;
            ++refused;
            EXPECT_EQ(result, -ENOMEM);
            expect_unchanged(before);
        }
    }
    EXPECT_GT(refused, 10);
}

std::string name_of_variant(const testing::TestParamInfo<AtomicityTest::ParamType>& info) {
    auto [mechanism, backing] = info.param;
    return std::string(mechanism == Mechanism::memslot ? "memslot" : "window") +
           (backing == Backing::memfd ? "_memfd" : "_anon");
}

INSTANTIATE_TEST_SUITE_P(Variants, AtomicityTest,
                         testing::Combine(testing::Values(Mechanism::window, Mechanism::memslot),
                                          testing::Values(Backing::anon, Backing::memfd)),
                         name_of_variant);

}  // namespace
}  // namespace gpremap
