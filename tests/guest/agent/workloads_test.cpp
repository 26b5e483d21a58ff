// What the agent's workloads do with their state, in a process of the host.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <numeric>
#include <vector>

#include "tests/guest/agent/native.h"

namespace gpremap {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t page = 4096;

class WorkloadCode : public testing::Test {
  protected:
    WorkloadCode() : memory_(3 * most_pages * page) {
        memory_at_ = (reinterpret_cast<uint64_t>(memory_.data()) + page - 1) / page * page;
    }

    void prepare(Workload workload) {
        workload.seed = 5;
        area_.prepare(workload, native_tsc_khz());
    }
    static Workload kind(gpremap_workload_kind does) {
        Workload workload;
        workload.does = does;
        workload.sample_ns = 100'000;
        return workload;
    }

    // Runs it in a thread of its own while `meanwhile` does something here.
    abi::Report run(const std::function<void()>& meanwhile) {
        abi::Report report = {};
        ended_ = false;
        std::jthread vcpu([&] {
            report = run_natively();
            ended_ = true;
        });
        meanwhile();
        area_.stop();
        vcpu.join();
        return report;
    }
    void wait_for(uint64_t operations) {
        while (area_.operations() < operations && !ended_) std::this_thread::yield();
    }
    void wait_until_seen() {
        while (!area_.has_seen_place() && !ended_) std::this_thread::yield();
    }
    // As for the time of a call.
    void take_place_away() {
        area_.put_place(GPREMAP_BUSY, 0);
        wait_until_seen();
    }
    void put_place(uint64_t first_page, uint64_t pages) {
        area_.put_place(memory_at_ + first_page * page, pages * page);
        wait_until_seen();
    }
    uint64_t& word(uint64_t of_page, uint64_t index) {
        return reinterpret_cast<uint64_t*>(memory_at_ + of_page * page)[index];
    }
    void move_pages(uint64_t from, uint64_t to, uint64_t pages) {
        std::memcpy(&word(to, 0), &word(from, 0), pages * page);
        std::memset(&word(from, 0), 0, pages * page);
    }

    void expect_counted() {
        const Counts quiet = area_.quiet(), beside = area_.beside();
        EXPECT_EQ(std::accumulate(quiet.begin(), quiet.end(), uint64_t{0}) +
                      std::accumulate(beside.begin(), beside.end(), uint64_t{0}),
                  area_.operations());
    }

    static constexpr uint64_t most_pages = 64;
    NativeAreas areas_;
    WorkloadArea area_{areas_, 0};
    std::vector<std::byte> memory_;
    uint64_t memory_at_;
    std::atomic<bool> ended_ = false;  // it has found something wrong, or was stopped
};

TEST_F(WorkloadCode, EveryKindCountsEachOperationOnce) {
    for (auto does : {GPREMAP_STREAM, GPREMAP_CHASE, GPREMAP_TOUCH, GPREMAP_VERIFY, GPREMAP_JITTER}) {
        prepare(kind(does));
        area_.put_place(memory_at_, most_pages * page);
        const abi::Report report = run([&] { wait_for(2000); });
        EXPECT_EQ(report.outcome, abi::Outcome::ok);
        EXPECT_GE(area_.operations(), 2000u);
        expect_counted();
    }
}

TEST_F(WorkloadCode, OperationsBesideACallAreCountedApart) {
    prepare(kind(GPREMAP_CHASE));
    area_.put_place(memory_at_, page);
    run([&] {
        wait_for(1000);
        gpremap_call_begins();
        wait_for(area_.operations() + 1000);
        gpremap_call_ends();
    });
    const Counts quiet = area_.quiet(), beside = area_.beside();
    EXPECT_GT(std::accumulate(quiet.begin(), quiet.end(), uint64_t{0}), 900u);
    EXPECT_GT(std::accumulate(beside.begin(), beside.end(), uint64_t{0}), 900u);
    expect_counted();
}

TEST_F(WorkloadCode, TouchReachesEveryPageInEveryOrder) {
    for (auto access : {GPREMAP_SEQUENTIAL, GPREMAP_RANDOM, GPREMAP_ZIPF}) {
        Workload workload = kind(GPREMAP_TOUCH);
        workload.access = access;
        workload.write = 1;
        prepare(workload);
        for (uint64_t i = 0; i < most_pages; i++) word(i, 0) = i;
        area_.put_place(memory_at_, most_pages * page);
        run([&] { wait_for(20'000); });
        for (uint64_t i = 0; i < most_pages; i++) EXPECT_EQ(word(i, 0), i);  // stores keep what is there
    }
}

TEST_F(WorkloadCode, ItWaitsWhereThereIsNoPlace) {
    prepare(kind(GPREMAP_TOUCH));
    run([&] { std::this_thread::sleep_for(5ms); });
    EXPECT_EQ(area_.operations(), 0u);
}

TEST_F(WorkloadCode, WhatWaitsForACallIsLate) {
    prepare(kind(GPREMAP_TOUCH));
    area_.put_place(memory_at_, page);
    run([&] {
        wait_for(100);
        take_place_away();
        std::this_thread::sleep_for(300ms);
        area_.put_place(memory_at_, page);
        wait_for(area_.operations() + 100);
    });
    EXPECT_GE(summary_of(sum_of(area_.quiet(), area_.beside())).max, 299'000'000u);
}

TEST_F(WorkloadCode, AnOpenLoopPaysForWhatItHasMissed) {
    Workload workload = kind(GPREMAP_TOUCH);
    workload.rate = 10'000;
    prepare(workload);
    area_.put_place(memory_at_, page);
    run([&] {
        wait_for(100);
        area_.put_place(GPREMAP_BUSY, 0);
        std::this_thread::sleep_for(200ms);
        area_.put_place(memory_at_, page);
        wait_for(area_.operations() + 3000);
    });
    // About 2,000 were to begin meanwhile: half of them are 100 ms late or more.
    const Counts counts = sum_of(area_.quiet(), area_.beside());
    const auto late = std::accumulate(counts.begin() + static_cast<ptrdiff_t>(gpremap_bucket_of(90'000'000)),
                                      counts.end(), uint64_t{0});
    EXPECT_GT(late, 700u);
}

// ---- verify ----

TEST_F(WorkloadCode, VerifyFollowsMovesShrinksAndGrows) {
    prepare(kind(GPREMAP_VERIFY));
    area_.put_place(memory_at_, 10 * page);
    const abi::Report report = run([&] {
        for (int i = 0; i < 50; i++) {
            wait_for(area_.operations() + 37);
            take_place_away();
            move_pages(0, 20, 10);
            put_place(20, 10);
            wait_for(area_.operations() + 5);
            put_place(20, 3);
            std::memset(&word(23, 0), 0, 7 * page);
            put_place(20, 30);  // at once: what is new must be seen as new
            wait_for(area_.operations() + 33);
            put_place(20, 10);
            std::memset(&word(30, 0), 0, 20 * page);
            take_place_away();
            move_pages(20, 0, 10);
            put_place(0, 10);
        }
    });
    EXPECT_EQ(report.outcome, abi::Outcome::ok)
        << std::hex << report.mismatch_at << " " << report.mismatch_found << " " << report.mismatch_expected;
}

TEST_F(WorkloadCode, VerifyNoticesEveryKindOfLoss) {
    using Damage = std::function<void()>;
    const std::vector<std::pair<const char*, Damage>> damages = {
        {"a page of zeros", [&] { std::memset(&word(4, 0), 0, page); }},
        {"the stamp of another page", [&] { word(4, 0) = word(5, 0); }},
        {"two pages exchanged", [&] { std::swap_ranges(&word(4, 0), &word(4, 511), &word(5, 0)); }},
        {"an old count", [&] { word(4, 1) -= 1; }},
        {"another end", [&] { word(4, 511) += 1; }},
    };
    for (const auto& [name, damage] : damages) {
        std::memset(&word(0, 0), 0, most_pages * page);
        prepare(kind(GPREMAP_VERIFY));
        area_.put_place(memory_at_, 10 * page);
        const abi::Report report = run([&, &damage = damage] {
            wait_for(100);
            take_place_away();
            damage();
            put_place(0, 10);
            wait_for(area_.operations() + 1000);  // each page many times
        });
        EXPECT_EQ(report.outcome, abi::Outcome::mismatch) << name;
        EXPECT_EQ((report.mismatch_at - memory_at_) / page / 2, 2u) << name;  // page 4 or 5
    }
}

TEST_F(WorkloadCode, VerifyWantsZerosWhereARangeHasGrown) {
    prepare(kind(GPREMAP_VERIFY));
    word(12, 1) = 7;
    area_.put_place(memory_at_, 10 * page);
    const abi::Report report = run([&] {
        wait_for(100);
        put_place(0, 20);
        wait_for(area_.operations() + 1000);  // each page many times
    });
    EXPECT_EQ(report.outcome, abi::Outcome::mismatch);
    EXPECT_EQ(report.mismatch_at, reinterpret_cast<uint64_t>(&word(12, 1)));
}

// ---- rings ----

TEST_F(WorkloadCode, WhatTheHostDoesNotReadInTimeIsCountedAsLost) {
    prepare(kind(GPREMAP_JITTER));
    gpremap_area& area = *gpremap_area_of(0);
    for (uint64_t i = 0; i < GPREMAP_EVENTS + 10; i++) gpremap_event_seen(&area, 0, i, i + 1);
    auto drained = area_.new_events();
    EXPECT_EQ(drained.lost, 10u);
    ASSERT_EQ(drained.rows.size(), size_t{GPREMAP_EVENTS});
    EXPECT_EQ(drained.rows.front().begin, 10u);
    EXPECT_EQ(drained.rows.back().begin, GPREMAP_EVENTS + 9u);
    EXPECT_TRUE(area_.new_events().rows.empty());
}

// A guest may write anything there.
TEST_F(WorkloadCode, ACountThatGoesBackTakesNoMoreThanARing) {
    prepare(kind(GPREMAP_JITTER));
    gpremap_area& area = *gpremap_area_of(0);
    for (uint64_t count : {uint64_t{100}, uint64_t{3}, ~uint64_t{0}, uint64_t{1} << 40}) {
        area.workload.samples = count;
        EXPECT_LE(area_.new_samples().rows.size(), size_t{GPREMAP_SAMPLES});
    }
}

}  // namespace
}  // namespace gpremap
