// Every call is all or nothing: for each call, and each system call and each allocation inside it, that one
// is made to fail. Map, contents, rights and residency are then as before, and the same call succeeds after.
//
//     ATOMICITY_STRIDE=5 atomicity_test      every 5th of them, from another one on in each variant: where
//     the
//                                            processor is emulated, all of them take too long
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/vmm/kvm_test.h"
#include "tests/vmm/memory/failing_allocations.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

using abi::Call;
using Arguments = std::array<uint64_t, 6>;

constexpr uint64_t granules = 24;  // of the window that is compared

struct Trial {
    std::string name;
    Call number;
    Arguments args;
};

// The picture before each call, one character a granule:   aabb|cc.dD_..ss....  then free
//   a-d written; D read-only; _ no access; s shared and seen a second time at granule 20
// `many` granules are more than 2 MiB.
std::vector<Trial> trials(uint64_t granule) {
    const uint64_t many = large / granule + 88;
    auto at = [granule](uint64_t number) { return base + number * granule; };
    uint64_t fixed = GPREMAP_LINUX_MREMAP_MAYMOVE | GPREMAP_LINUX_MREMAP_FIXED;
    return {
        {"map", Call::map, {at(7), granule, rw, 0}},
        {"map over something", Call::map, {at(2), 8 * granule, rw, GPREMAP_FLAG_REPLACE}},
        {"map anywhere", Call::map, {0, many * granule, rw, GPREMAP_FLAG_ANYWHERE}},
        {"unmap", Call::unmap, {at(1), 5 * granule}},
        {"unmap shared", Call::unmap, {at(12), 2 * granule}},
        {"move", Call::move, {at(0), at(100), 6 * granule, 0}},
        {"move overlapping up", Call::move, {at(8), at(9), 2 * granule, GPREMAP_FLAG_REPLACE}},
        {"move overlapping down", Call::move, {at(8), at(7), 3 * granule, 0}},
        {"move over something", Call::move, {at(0), at(12), 2 * granule, GPREMAP_FLAG_REPLACE}},
        {"move with holes", Call::move, {at(4), at(100), 10 * granule, GPREMAP_FLAG_KEEP_HOLES}},
        {"grow in place", Call::grow, {at(12), 2 * granule, 4 * granule, 0}},
        {"grow that moves", Call::grow, {at(0), 4 * granule, (many + 100) * granule, GPREMAP_FLAG_MAY_MOVE}},
        {"shrink", Call::shrink, {at(0), 6 * granule, granule}},
        {"alias", Call::alias, {at(0), at(100), 6 * granule, GPREMAP_PROT_READ, 0}},
        {"alias of no access", Call::alias, {at(8), at(100), 3 * granule, GPREMAP_PROT_PREVIOUS, 0}},
        {"alias over something", Call::alias, {at(0), at(12), 2 * granule, rw, GPREMAP_FLAG_REPLACE}},
        {"protect", Call::protect, {at(0), 6 * granule, GPREMAP_PROT_READ}},
        {"protect, no access", Call::protect, {at(8), 3 * granule, 0}},
        {"release", Call::release, {at(0), 6 * granule}},
        {"release shared", Call::release, {at(12), 2 * granule}},
        {"exchange", Call::exchange, {at(0), at(12), 2 * granule}},
        {"snapshot", Call::snapshot, {at(0), at(100), 6 * granule, GPREMAP_PROT_PREVIOUS, 0}},
        {"snapshot of shared", Call::snapshot, {at(12), at(100), 2 * granule, GPREMAP_PROT_READ, 0}},
        {"lock", Call::lock, {at(0), 6 * granule}},
        {"pin", Call::pin, {at(0), 6 * granule}},
        {"seal", Call::seal, {at(0), 6 * granule}},
        {"linux grow",
         Call::linux_mremap,
         {at(4), 2 * granule, 9 * granule, GPREMAP_LINUX_MREMAP_MAYMOVE, 0}},
        {"linux fixed", Call::linux_mremap, {at(0), 14 * granule, 14 * granule, fixed, at(100)}},
        {"linux fixed over something", Call::linux_mremap, {at(0), 4 * granule, 2 * granule, fixed, at(12)}},
        {"linux leaves zero",
         Call::linux_mremap,
         {at(0), 14 * granule, 14 * granule, fixed | GPREMAP_LINUX_MREMAP_DONTUNMAP, at(100)}},
        {"linux duplicate", Call::linux_mremap, {at(12), 0, 5 * granule, GPREMAP_LINUX_MREMAP_MAYMOVE, 0}},
        {"linux mmap",
         Call::linux_mmap,
         {at(0), 14 * granule, rw,
          GPREMAP_LINUX_MAP_PRIVATE | GPREMAP_LINUX_MAP_ANONYMOUS | GPREMAP_LINUX_MAP_FIXED}},
        {"linux munmap", Call::linux_munmap, {at(0), 14 * granule}},
        {"linux dontneed", Call::linux_madvise, {at(0), 6 * granule, GPREMAP_LINUX_MADV_DONTNEED}},
        {"linux remove", Call::linux_madvise, {at(12), 2 * granule, GPREMAP_LINUX_MADV_REMOVE}},
        {"netbsd larger duplicate",
         Call::netbsd_mremap,
         {at(0), 4 * granule, 0, 7 * granule, GPREMAP_NETBSD_MAP_REMAPDUP}},
        {"netbsd aligned",
         Call::netbsd_mremap,
         {at(4), 2 * granule, 0, 3 * granule, 21ull << GPREMAP_NETBSD_MAP_ALIGNMENT_SHIFT}},
        {"utek move", Call::utek_mremap, {at(0), at(100), 6 * granule, GPREMAP_PROT_READ}},
        {"utek release",
         Call::utek_mremap,
         {at(0), at(100), 6 * granule, GPREMAP_UTEK_RELEASE_ZFILL | GPREMAP_UTEK_PREVIOUS}},
    };
}

// What must not change.
struct Picture {
    std::vector<MapEntry> map;
    std::vector<std::string> contents;  // of each granule, empty where it cannot be read
    uint64_t resident;
};

class AtomicityTest : public KvmTestWith<Variant> {
  protected:
    std::string lack() const override { return lack_of(std::get<Backing>(GetParam()), 256); }

    uint64_t at(uint64_t number) const { return base + number * granule; }

    void must(Call number, const Arguments& args) { ASSERT_GE(remap(number, args), 0); }

    void fill(uint64_t from, uint64_t count, char letter) {
        auto filling = step(abi::Op::fill, at(from), count * granule, abi::Pattern::byte, letter);
        ASSERT_EQ(perform(filling).report.outcome, abi::Outcome::ok);
    }

    // Keeps the contents.
    void write_to_each(uint64_t from, uint64_t count) {
        auto writing = step(abi::Op::touch, at(from), count * granule, 1, page);
        ASSERT_EQ(perform(writing).report.outcome, abi::Outcome::ok);
    }

    void draw(unsigned vcpus = 1) {
        boot(config_of(GetParam(), vcpus, 2 * gib));
        must(Call::map, {at(0), 4 * granule, rw, 0});
        must(Call::map, {at(4), 2 * granule, rw, 0});
        must(Call::map, {at(8), 3 * granule, rw, 0});
        must(Call::map, {at(12), 2 * granule, rw, GPREMAP_FLAG_SHARED});
        fill(0, 2, 'a');
        fill(2, 2, 'b');
        fill(4, 2, 'c');
        fill(8, 2, 'd');
        fill(10, 1, 'e');
        fill(12, 2, 's');
        must(Call::protect, {at(9), granule, GPREMAP_PROT_READ});
        must(Call::protect, {at(10), granule, 0});
        must(Call::alias, {at(12), at(20), 2 * granule, rw, 0});
    }

    Picture look() {
        Picture picture{machine_->remapper().map(), {}, machine_->remapper().resident_bytes()};
        for (uint64_t number = 0; number < granules; ++number)
            picture.contents.push_back(read(at(number)) + read(at(number + 1) - page));
        return picture;
    }

    // The small page there, as far as it can be read. The rest of a huge page goes where its ends go.
    std::string read(uint64_t from) {
        std::string bytes(page, '\0');
        bytes.resize(machine_->vm().read_guest(from, std::as_writable_bytes(std::span(bytes))));
        return bytes;
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
        write_to_each(0, 2);
        write_to_each(12, 2);
    }

    static int stride() {
        const char* stated = std::getenv("ATOMICITY_STRIDE");
        return stated ? std::max(std::atoi(stated), 1) : 1;
    }

    // The first point differs from variant to variant, so that together they meet more of them.
    int first_point() const {
        auto number = std::ranges::find(variants, GetParam()) - std::begin(variants);
        return static_cast<int>(number) % stride();
    }

    // Lets the call fail at each point in turn until it comes through; returns how many points there were.
    int fail_everywhere(const Trial& trial, const std::function<void(int)>& arm) {
        for (int point = first_point(); point < 2000; point += stride()) {
            SCOPED_TRACE(trial.name + ", failure at point " + std::to_string(point));
            Picture before = look();
            arm(point);
            int64_t result = remap(trial.number, trial.args);
            allocations_left = -1;
            if (result >= 0) return point;
            failed_++;
            EXPECT_EQ(result, -ENOMEM);
            expect_unchanged(before);
            if (HasFailure()) return point;
        }
        ADD_FAILURE() << trial.name << " never succeeds";
        return 0;
    }

    void TearDown() override {
        if (failed_ > 0) std::cout << failed_ << " failures, one after the other" << std::endl;
        KvmTestWith::TearDown();
    }

    // Has vCPU 1 write without a break, where no trial comes.
    void begin_pulse() {
        const uint64_t where = base + 2 * gib - granule;
        must(Call::map, {where, granule, rw, 0});
        abi::Pulse pulse = {};
        pulse.place[0] = pulse.place[1] = where;
        pulse.words = 1;
        pulse.stride = page;
        ASSERT_TRUE(machine_->guest().write(layout::shared, &pulse, sizeof pulse));
        machine_->start(1, step(abi::Op::pulse, layout::shared, 0));
        // Its page is there before anybody counts.
        for (int turn = 0; turn < 10'000 && accesses_of_pulse() == 0; turn++)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        ASSERT_GT(accesses_of_pulse(), 0u);
    }

    uint64_t accesses_of_pulse() {
        abi::Pulse pulse = {};
        EXPECT_TRUE(machine_->guest().read(layout::shared, &pulse, sizeof pulse));
        return pulse.accesses;
    }

    void expect_stopped() {
        const uint64_t accesses = accesses_of_pulse();
        EXPECT_THROW(machine_->finish(1), std::system_error);
        EXPECT_THROW(remap(Call::map, {at(7), granule, rw, 0}), std::system_error);
        EXPECT_EQ(machine_->vm().gate().others_in_guest_mode(VcpuGate::nobody), 0u);
        EXPECT_EQ(accesses_of_pulse(), accesses);
    }

    // Lets the call fail at each point, and then what undoes it, until that has stopped the VM. Returns whether it has: a
    // call that is one host call has nothing to undo.
    bool fail_twice(const Trial& trial) {
        for (uint64_t point = 0; point < 2000; point++) {
            SCOPED_TRACE(trial.name + ", failure at point " + std::to_string(point));
            const Picture before = look();
            machine_->remapper().fail_host_call(point);
            machine_->remapper().fail_undo(0);
            try {
                if (remap(trial.number, trial.args) >= 0) return false;
            } catch (const std::system_error&) {
                expect_stopped();
                return true;
            }
            expect_unchanged(before);
            if (testing::Test::HasFailure()) return false;
        }
        return false;
    }

    const uint64_t granule = granule_of(std::get<Backing>(GetParam()));
    int failed_ = 0;  // of host calls and allocations, that were made to fail
};

TEST_P(AtomicityTest, SystemCallsThatFail) {
    int points = 0;
    for (const Trial& trial : trials(granule)) {
        draw();
        points += fail_everywhere(
            trial, [&](int point) { machine_->remapper().fail_host_call(static_cast<uint64_t>(point)); });
        if (HasFailure()) return;
    }
    EXPECT_GT(points, 50);
}

// Where the undo fails, too, the map is neither the old one nor the new: the VM stops, and says so.
TEST_P(AtomicityTest, UndoThatFailsToo) {
    const auto all = trials(granule);
    int stopped = 0;
    for (size_t i = static_cast<size_t>(first_point()); i < all.size();
         i += static_cast<size_t>(std::min(stride(), 7))) {
        draw(2);
        begin_pulse();
        stopped += fail_twice(all[i]);
        if (HasFailure()) return;
    }
    EXPECT_GT(stopped, 0);
}

TEST_P(AtomicityTest, AllocationsThatFail) {
    int points = 0;
    for (const Trial& trial : trials(granule)) {
        draw();
        points += fail_everywhere(trial, [](int point) { allocations_left = point; });
        if (HasFailure()) return;
    }
    EXPECT_GT(points, 200);
}

// Limits: what a call would need beyond them.
TEST_P(AtomicityTest, LimitsThatAreReached) {
    int refused = 0;
    for (const Trial& trial : trials(granule)) {
        for (auto [memory, extents] :
             {std::pair{granule, uint64_t{1} << 20}, std::pair{uint64_t{1} << 30, uint64_t{1}}}) {
            SCOPED_TRACE(trial.name);
            draw();
            Picture before = look();
            machine_->remapper().set_limits(memory, uint64_t{1} << 40, extents);
            int64_t result = remap(trial.number, trial.args);
            if (result >= 0) continue;
            ++refused;
            EXPECT_EQ(result, -ENOMEM);
            expect_unchanged(before);
        }
    }
    EXPECT_GT(refused, 10);
}

INSTANTIATE_TEST_SUITE_P(Variants, AtomicityTest, testing::ValuesIn(variants), name_of_variant);

}  // namespace
}  // namespace gpremap
