// Four vCPUs count, with locked and plain instructions, in ranges that a fifth remaps as fast as it can:
// no increment is lost, doubled or misplaced, nothing stale is read, and nothing is retried for ever.
//
//     torture_test                      10,000 remaps in each variant
//     torture_test --remaps 1000000     the long run
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>

#include "tests/vmm/kvm_test.h"
#include "tests/vmm/torture/shuffler.h"
#include "vmm/base/units.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vm.h"
#include "vmm/vcpus/post_mortem.h"

namespace gpremap {
namespace {

using abi::Arena;
using abi::Op;
using abi::Outcome;
using Clock = std::chrono::steady_clock;

uint64_t wanted_remaps = 10'000;
uint64_t seed = 1;

constexpr unsigned workers = 4, remapper = 4;
// Of one access. A vCPU is late by what the scheduler makes it, so these are far above what is seen.
constexpr uint64_t most_faults_in_a_row = 100'000;
constexpr uint64_t most_retries_in_a_row = 10'000;

constexpr uint64_t arena_at = layout::shared;
constexpr uint64_t script_at = arena_at + (sizeof(Arena) + page - 1) / page * page;
constexpr uint64_t script_length = 200;
static_assert(script_at + (script_length + 1) * sizeof(abi::Remap) <= layout::shared + layout::shared_size);

class TortureTest : public KvmTestWith<Variant> {
  protected:
    std::string lack() const override { return lack_of(std::get<Backing>(GetParam()), 64); }
    void prepare() override {
        MachineConfig config = config_of(GetParam(), workers + 1, Shuffler::aperture_size);
        boot(config);
        shuffler_ = std::make_unique<Shuffler>(base, config.memory.granule, seed);
        for (const Shuffler::Range& range : shuffler_->ranges()) prepare(range);
    }

    // Every page is stamped, but for the words that are counted in, which are zero.
    void prepare(const Shuffler::Range& range) {
        auto index = static_cast<uint64_t>(&range - shuffler_->ranges().data());
        uint64_t at = range.address[0];
        auto map = call(abi::Call::map, at, range.size, rw);
        ASSERT_EQ(machine_->perform(remapper, map).report.result, static_cast<int64_t>(at));
        machine_->perform(remapper, step(Op::fill, at, range.size, abi::Pattern::stamp, index, 0));
        for (uint64_t place = 0; place < range.places; place++)
            machine_->perform(remapper,
                              step(Op::fill, at + place * range.stride, words_size, abi::Pattern::byte, 0));
        Arena::Range entry = {{at, 0}, range.places, range.stride, range.exact};
        put(offsetof(Arena, range) + index * sizeof entry, entry);
    }

    template <typename Value>
    void put(uint64_t offset_in_arena, const Value& value) {
        ASSERT_TRUE(machine_->guest().write(arena_at + offset_in_arena, &value, sizeof value));
    }

    Arena arena() const {
        auto copy = std::make_unique<Arena>();
        EXPECT_TRUE(machine_->guest().read(arena_at, copy.get(), sizeof *copy));
        return *copy;
    }

    using Rounds = std::array<uint64_t, workers>;

    Rounds rounds() const {
        Rounds now;
        Arena seen = arena();
        for (unsigned vcpu = 0; vcpu < workers; vcpu++) now[vcpu] = seen.tally[vcpu].rounds;
        return now;
    }

    // Until no vCPU can still use an address that it had read by then.
    void wait_for_new_rounds(const Rounds& since) {
        auto late = Clock::now() + std::chrono::seconds(60);
        auto is_new = [&] {
            Rounds now = rounds();
            return std::ranges::equal(now, since, std::not_equal_to{});
        };
        while (!is_new() && arena().stop == 0) {
            if (Clock::now() > late) FAIL() << "a vCPU has made no progress for a minute";
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
    }

    void torture(uint64_t remaps) {
        auto start = Clock::now();
        start_workers(false);
        shuffle(remaps);
        put(offsetof(Arena, stop), uint64_t{1});
        for (unsigned vcpu = 0; vcpu < workers; vcpu++) {
            Performed done = machine_->finish(vcpu);
            expect_right(done, vcpu);
            retries_ += done.retries;
            retries_in_a_row_ = std::max(retries_in_a_row_, done.retries_in_a_row);
        }
        EXPECT_LT(retries_in_a_row_, most_retries_in_a_row);
        if (!HasFailure()) expect_everything_where_it_belongs();
        print(std::chrono::duration<double>(Clock::now() - start).count());
    }

    void start_workers(bool count_too_early) {
        for (unsigned vcpu = 0; vcpu < workers; vcpu++) {
            put(offsetof(Arena, tally) + vcpu * sizeof(Arena::Tally) + offsetof(Arena::Tally, random),
                uint64_t{seed * workers + vcpu});
            machine_->start(vcpu, step(Op::hammer, arena_at, most_faults_in_a_row, count_too_early));
        }
    }

    Performed make_script(uint64_t length) {
        auto script = shuffler_->next(length);
        EXPECT_TRUE(machine_->guest().write(script_at, script.data(), script.size() * sizeof(abi::Remap)));
        put(offsetof(Arena, next), uint64_t{0});
        Performed done =
            machine_->perform(remapper, step(Op::shuffle, arena_at, script_at, script.size(), workers));
        remaps_ += static_cast<uint64_t>(done.report.result);
        return done;
    }

    void shuffle(uint64_t remaps) {
        Rounds before_last = rounds();
        while (remaps_ < remaps && arena().stop == 0 && !HasFailure()) {
            ASSERT_NO_FATAL_FAILURE(
                expect_right(make_script(std::min(script_length, remaps - remaps_)), remapper));
            wait_for_new_rounds(before_last);
            shuffler_->reuse_left_addresses();
            before_last = rounds();
        }
    }

    void expect_right(const Performed& done, unsigned vcpu) {
        const abi::Report& report = done.report;
        std::ostringstream what;
        what << "vCPU " << vcpu << " after " << remaps_ << " remaps, seed " << seed << ": ";
        if (report.outcome == Outcome::fault) what << describe(report.fault);
        if (report.outcome == Outcome::mismatch)
            what << std::hex << "at 0x" << report.mismatch_at << ": found 0x" << report.mismatch_found
                 << ", expected 0x" << report.mismatch_expected;
        ASSERT_EQ(report.outcome, Outcome::ok) << what.str();
    }

    // ---- what memory must hold in the end ----

    void expect_everything_where_it_belongs() {
        Arena end = arena();
        uint64_t mapped = 0;
        for (const MapEntry& entry : machine_->remapper().map()) mapped += entry.size;
        EXPECT_EQ(mapped, shuffler_->mapped_bytes());
        for (uint64_t index = 0; index < Arena::ranges; index++) {
            const Shuffler::Range& range = shuffler_->ranges()[index];
            for (uint64_t address : range.address)
                if (address) expect_contents(end, index, address);
            expect_tail(range);
        }
        for (unsigned vcpu = 0; vcpu < workers; vcpu++)
            for (uint64_t kind = 0; kind < Arena::kinds; kind++) expect_sums(end, vcpu, kind);
    }

    std::vector<uint64_t> read(uint64_t at, uint64_t size) const {
        std::vector<uint64_t> words(size / 8);
        EXPECT_EQ(machine_->vm().read_guest(at, std::as_writable_bytes(std::span(words))), size);
        return words;
    }

    void expect_contents(const Arena& end, uint64_t index, uint64_t address) {
        const Shuffler::Range& range = shuffler_->ranges()[index];
        std::vector<uint64_t> found = read(address, range.size);
        for (uint64_t i = 0; i < found.size(); i++) {
            uint64_t place = i * 8 / range.stride, offset = i * 8 % range.stride;
            uint64_t expected = offset < words_size && place < range.places
                                    ? counted(end, index, place, offset / 8, found[i])
                                    : abi::stamp_word(abi::stamp_page(index, i * 8 / page), i % (page / 8));
            if (found[i] == expected) continue;
            FAIL() << "range " << index << " at 0x" << std::hex << address << ", offset 0x" << i * 8
                   << ": found 0x" << found[i] << ", expected 0x" << expected;
        }
    }

    // What word `word` of a place must hold. Of an inexact range only the sums are known.
    uint64_t counted(const Arena& end, uint64_t index, uint64_t place, uint64_t word, uint64_t found) const {
        const Shuffler::Range& range = shuffler_->ranges()[index];
        uint64_t vcpu = word / Arena::kinds, kind = word % Arena::kinds;
        if (vcpu == remapper) return kind == 0 ? range.marker[place] : 0;
        if (vcpu >= workers) return 0;
        return range.exact ? end.tally[vcpu].count[index][place][kind] : found;
    }

    void expect_tail(const Shuffler::Range& range) {
        if (range.grown == range.size) return;
        std::vector<uint64_t> found = read(range.address[0] + range.size, range.grown - range.size);
        EXPECT_EQ(found[0], range.tail_marker);
        EXPECT_EQ(std::count(found.begin() + 1, found.end(), 0u), static_cast<long>(found.size() - 1));
    }

    void expect_sums(const Arena& end, unsigned vcpu, uint64_t kind) {
        uint64_t done = 0, found = 0;
        for (uint64_t index = 0; index < Arena::ranges; index++) {
            const Shuffler::Range& range = shuffler_->ranges()[index];
            for (uint64_t place = 0; place < range.places; place++) {
                uint64_t offset = place * range.stride + vcpu * Arena::words_bytes + kind * 8;
                found += read(range.address[0] + offset, 8)[0];
                done += end.tally[vcpu].count[index][place][kind];
            }
        }
        EXPECT_EQ(found, done) << "vCPU " << vcpu << ", kind " << kind;
        EXPECT_GT(done, 0u) << "vCPU " << vcpu << ", kind " << kind;
    }

    void print(double seconds) {
        Arena end = arena();
        uint64_t operations = 0, faults = 0, in_a_row = 0;
        for (unsigned vcpu = 0; vcpu < workers; vcpu++) {
            operations += end.tally[vcpu].operations;
            faults += end.tally[vcpu].faults;
            in_a_row = std::max(in_a_row, end.tally[vcpu].most_faults_in_a_row);
        }
        std::cout << remaps_ << " remaps under " << operations << " counted accesses in " << seconds << " s. "
                  << "Waited and repeated: " << retries_ << " accesses, one of them " << retries_in_a_row_
                  << " times in a row. Came to where the range was no more: " << faults << ", one of them "
                  << in_a_row << " times in a row." << std::endl;
    }

    static constexpr uint64_t words_size = abi::max_vcpus * Arena::words_bytes;

    std::unique_ptr<Shuffler> shuffler_;
    uint64_t remaps_ = 0;
    uint64_t retries_ = 0;
    uint64_t retries_in_a_row_ = 0;
};

TEST_P(TortureTest, LosesAndMisplacesNothing) {
    torture(wanted_remaps);
}

// ---- what a processor that reorders would do ----

class OrderTest : public TortureTest {};

// With counts that others see before what was counted, as where an access and its count were not ordered: the torture
// fails, so that it means something that it does not.
TEST_P(OrderTest, CountsAheadOfMemoryAreNoticed) {
    start_workers(true);
    bool noticed = false;
    for (int scripts = 0; !noticed && scripts < 10; scripts++) {
        const Rounds before = rounds();
        noticed = make_script(script_length).report.outcome == Outcome::mismatch || arena().stop != 0;
        if (!noticed) wait_for_new_rounds(before);
        shuffler_->reuse_left_addresses();
    }
    EXPECT_TRUE(noticed) << "in " << remaps_ << " remaps";
    put(offsetof(Arena, stop), uint64_t{1});
    for (unsigned vcpu = 0; vcpu < workers; vcpu++) machine_->finish(vcpu);
}

// ---- memory of somebody else ----

struct Bounds {
    uint64_t start;
    uint64_t end;
    bool overlaps(uint64_t at, uint64_t size) const { return at < end && start < at + size; }
};

// What the only machine of this process has reserved: window and mirror.
Bounds reservation() {
    constexpr uint64_t lowest = 16ull << 40;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        uint64_t start = std::stoull(line, nullptr, 16);
        if (start >= lowest) return {start, start + 2 * Shuffler::aperture_size};
    }
    return {};
}

// Maps and unmaps memory of all sizes, and writes to it, until told to stop. It lets the kernel choose, or
// asks for a place beside the reservation. Returns how many mappings there were inside it.
uint64_t map_and_unmap(const Bounds& reserved, uint64_t my_seed, const std::atomic<bool>& stop,
                       std::atomic<uint64_t>& mappings) {
    std::mt19937_64 random(my_seed);
    uint64_t inside = 0;
    while (!stop) {
        uint64_t size = page << random() % 19;  // 4 KiB to 1 GiB
        uint64_t hints[] = {0, 0, reserved.start - size, reserved.end, reserved.start - size / 2};
        void* hint = reinterpret_cast<void*>(hints[random() % std::size(hints)]);
        void* got =
            mmap(hint, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (got == MAP_FAILED) continue;
        if (reserved.overlaps(reinterpret_cast<uint64_t>(got), size)) inside++;
        for (uint64_t at : {uint64_t{0}, size - page}) std::memset(static_cast<char*>(got) + at, 0xdb, page);
        munmap(got, size);
        mappings++;
    }
    return inside;
}

class WindowTortureTest : public TortureTest {};

// What others map never lands in a hole that a move leaves for a moment. That the guest never sees it, the
// checks of the torture say: fresh memory is zero, what was left faults, all else is what was counted.
TEST_P(WindowTortureTest, KeepsOthersMemoryOut) {
    const Bounds reserved = reservation();
    ASSERT_NE(reserved.start, 0u);
    std::atomic<bool> stop = false;
    std::atomic<uint64_t> mappings = 0, inside = 0;
    std::vector<std::thread> others;
    for (uint64_t other : {1u, 2u})
        others.emplace_back([&, other] { inside += map_and_unmap(reserved, seed + other, stop, mappings); });
    torture(std::max(wanted_remaps / 10, uint64_t{1}));
    stop = true;
    for (std::thread& other : others) other.join();
    EXPECT_EQ(inside, 0u) << "of " << mappings;
    EXPECT_GT(mappings, 0u);
    std::cout << mappings << " mappings of others meanwhile" << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Variants, TortureTest, testing::ValuesIn(variants), name_of_variant);
INSTANTIATE_TEST_SUITE_P(Variants, OrderTest, testing::Values(variants[0], variants[1]), name_of_variant);
INSTANTIATE_TEST_SUITE_P(Variants, WindowTortureTest,
                         testing::Combine(testing::Values(Mechanism::window), testing::ValuesIn(backings)),
                         name_of_variant);

}  // namespace
}  // namespace gpremap

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    CLI::App app("Remaps memory under vCPUs that count in it.");
    app.add_option("--remaps", gpremap::wanted_remaps, "in each variant")->capture_default_str();
    app.add_option("--seed", gpremap::seed, "of every choice")->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    return RUN_ALL_TESTS();
}
