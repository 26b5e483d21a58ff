#include "vmm/scenario/step_runner.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <future>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "guest/abi/workload.h"
#include "vmm/base/errors.h"
#include "vmm/base/interruption.h"
#include "vmm/scenario/reading.h"

namespace gpremap {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

// In place of a guest: each step takes 1 ms; a map returns its address, any other call 0.
class Guest : public CallerMemory {
  public:
    bool read(uint64_t, void*, size_t) const override { return true; }
    bool write(uint64_t, const void*, size_t) override { return true; }

    Performed perform(unsigned vcpu, const abi::Step& step) {
        EXPECT_FALSE(busy_.at(vcpu).exchange(true)) << "two steps at once on vCPU " << vcpu;
        at_once_++;
        most_at_once_ = std::max(most_at_once_.load(), at_once_.load());
        char name[16] = {};
        pthread_getname_np(pthread_self(), name, sizeof name);
        {
            const std::lock_guard lock(mutex_);
            thread_of_vcpu[vcpu].insert(name);
        }
        std::this_thread::sleep_for(milliseconds(1));
        for (int i = 0; i < 30'000 && vcpu != 0 && most_at_once_ < company; i++)
            std::this_thread::sleep_for(milliseconds(1));
        at_once_--;
        busy_.at(vcpu) = false;
        Performed done = {};
        done.report = {};
        done.guest_ns = 1000;
        if (step.op == abi::Op::call) {
            done.call.emplace();
            const auto number = static_cast<abi::Call>(step.arg[0]);
            const bool is_map = number == abi::Call::map;
            done.report.result = fails_calls ? -ENOMEM : is_map ? static_cast<int64_t>(step.arg[1]) : 0;
            if (number == abi::Call::batch) done.report.result = result_of_batches;
            done.report.outcome = outcome_of_calls;
        }
        if (step.op == abi::Op::plug) done.report.result = 8ll << 30;
        if (step.op == abi::Op::unplug) done.report.result = 1ll << 40;
        return done;
    }

    StepTarget target() {
        return {*this,
                [this](unsigned vcpu, const abi::Step& step) { return perform(vcpu, step); },
                [] { return std::vector<MapEntry>(); },
                [] { return 0; },
                [] { return 0; },
                {}};
    }

    unsigned most_at_once() const { return most_at_once_; }

    std::map<unsigned, std::set<std::string>> thread_of_vcpu;
    // Until so many have been at work at once, steps of all vCPUs but the first go on; for half a minute at most.
    std::atomic<unsigned> company = 1;
    std::atomic<bool> fails_calls = false;
    std::atomic<int64_t> result_of_batches = 0;
    std::atomic<abi::Outcome> outcome_of_calls = abi::Outcome::ok;

  private:
    std::array<std::atomic<bool>, abi::max_vcpus> busy_ = {};
    std::atomic<unsigned> at_once_ = 0, most_at_once_ = 0;
    std::mutex mutex_;
};

void sleep_for(std::chrono::duration<double> duration) {
    std::this_thread::sleep_for(duration);
}

// `vm` is one more line of [vm].
Scenario scenario_of(std::string_view steps, std::string_view vm) {
    return parse_scenario(
        fmt::format("[vm]\nvcpus = 4\n{}\n[[step]]\nmap = {{ name = 'a', at = '8GiB', size = '4MiB' }}\n{}",
                    vm, steps),
        "s.toml");
}

class StepRunnerTest : public testing::Test {
  protected:
    std::vector<StepResult> run(std::string_view steps, Companions* companions = nullptr,
                                std::string_view vm = "") {
        const Scenario scenario = scenario_of(steps, vm);
        StepTarget target = guest.target();
        target.pool_ready = [this] { return pool_ready.load(); };
        StepRunner runner(target, watcher, companions, on_failure);
        try {
            runner.run(timeline_of(scenario.steps, scenario.machine.memory.granule));
        } catch (const std::exception& error) {
            thrown = error.what();
        }
        return runner.results();
    }

    static const StepResult& labelled(const std::vector<StepResult>& results, const std::string& label) {
        return *std::ranges::find(results, label, &StepResult::label);
    }

    Guest guest;
    StepWatcher watcher{.begins = {}, .sleep = sleep_for, .done = {}, .checkpoint = {}};
    std::string thrown;
    OnFailure on_failure = OnFailure::go_on;
    std::atomic<uint64_t> pool_ready = 1 << 20;
};

TEST_F(StepRunnerTest, WithoutTracksStepsFollowOneAnother) {
    const auto results =
        run("[[step]]\ntouch = { range = 'a' }\n[[step]]\ntouch = { range = 'a' }\nvcpu = 1\n");
    ASSERT_EQ(results.size(), 3u);
    for (const StepResult& result : results) EXPECT_TRUE(result.ok) << result.problem;
    EXPECT_LE(results[1].end_ns, results[2].begin_ns);
    EXPECT_EQ(guest.most_at_once(), 1u);
}

constexpr const char* two_tracks = R"(
[[step]]
track = "left"
vcpu = 1
label = "l"
repeat = { times = 30, steps = [ { touch = { range = "a" } } ] }
[[step]]
track = "right_of_it"
vcpu = 2
repeat = { times = 30, steps = [ { touch = { range = "a" } } ] }
)";

TEST_F(StepRunnerTest, TracksRunSideBySide) {
    guest.company = 2;
    const auto results = run(two_tracks);
    ASSERT_EQ(results.size(), 61u);
    for (size_t i = 0; i < results.size(); i++) EXPECT_EQ(results[i].index, i);
    EXPECT_GE(guest.most_at_once(), 2u);
    EXPECT_LT(results[31].begin_ns, results[30].end_ns);
    EXPECT_THAT(guest.thread_of_vcpu[1], ElementsAre("left"));
    EXPECT_THAT(guest.thread_of_vcpu[2], ElementsAre("right_of_it"));
    EXPECT_EQ(results[5].track, "left");
    EXPECT_EQ(results[0].track, "");
}

// Whatever an agent reports: a call that it says not to have got through is no success, and has no results.
TEST_F(StepRunnerTest, ACallThatTheAgentDidNotGetThroughHasFailed) {
    for (const auto outcome : {abi::Outcome::fault, abi::Outcome::mismatch}) {
        guest.outcome_of_calls = outcome;
        const auto results =
            run("[[step]]\nbatch = [{ map = { name = 'b', at = '9GiB', size = '4MiB' } }]\n");
        EXPECT_THAT(thrown, "");
        ASSERT_EQ(results.size(), 2u);
        for (const StepResult& result : results)
            EXPECT_THAT(result.problem, HasSubstr("did not get through it"));
    }
}

TEST_F(StepRunnerTest, ABatchReturnsNothingButZero) {
    guest.result_of_batches = 5;
    const auto results = run("[[step]]\nbatch = [{ map = { name = 'b', at = '9GiB', size = '4MiB' } }]\n");
    EXPECT_THAT(thrown, "");
    EXPECT_THAT(results.at(1).problem, HasSubstr("has returned 0x5"));
}

TEST_F(StepRunnerTest, NoMoreIsUnpluggedThanThereWas) {
    const auto results =
        run("[[step]]\nplug = { name = 'ram', size = '128MiB' }\n[[step]]\nunplug = { name = 'ram' }\n"
            "[[step]]\nunplug = { name = 'ram', size = '128MiB' }\n",
            nullptr, "guest = 'linux'");
    EXPECT_THAT(thrown, "");
    ASSERT_EQ(results.size(), 4u);
    for (const size_t i : {2u, 3u}) EXPECT_THAT(results[i].problem, HasSubstr("1 TiB of 128 MiB went"));
}

TEST_F(StepRunnerTest, AStepWaitsForItsTime) {
    const auto results = run("[[step]]\nat = '60ms'\ntouch = { range = 'a' }\n");
    EXPECT_GE(results[1].begin_ns, 60'000'000u);
}

TEST_F(StepRunnerTest, ATrackWaitsForARangeThatAnotherMakes) {
    const auto results =
        run("[[step]]\nat = 0.05\nmap = { name = 'late', at = '9GiB', size = '4MiB' }\n"
            "[[step]]\ntrack = 't'\nvcpu = 1\ntouch = { range = 'late' }\n");
    ASSERT_EQ(results.size(), 3u);
    EXPECT_TRUE(results[2].ok) << results[2].problem;
    EXPECT_GE(results[2].begin_ns, results[1].begin_ns + 1'000'000);
}

TEST_F(StepRunnerTest, AStepBeginsWithTheOneThatItIsDuring) {
    std::atomic<bool> is_done = false;
    watcher.done = [&](const StepResult& step) { is_done = is_done || step.label == "beside"; };
    watcher.sleep = [&](std::chrono::duration<double> duration) {
        sleep_for(duration);
        for (int i = 0; i < 30'000 && duration.count() > 0.045 && !is_done; i++) sleep_for(milliseconds(1));
    };
    const auto results =
        run("[[step]]\nvcpu = 1\nduring = 'slow'\nlabel = 'beside'\ntouch = { range = 'a' }\n"
            "[[step]]\nsleep = 0.04\n[[step]]\nlabel = 'slow'\nsleep = 0.05\n");
    ASSERT_EQ(results.size(), 4u);
    EXPECT_GE(labelled(results, "beside").begin_ns, results[2].end_ns);
    EXPECT_LT(labelled(results, "beside").end_ns, labelled(results, "slow").end_ns);
}

TEST_F(StepRunnerTest, WhatAFailedTrackWouldHaveMadeIsMissingInTheOthers) {
    guest.fails_calls = true;
    const auto results = run(two_tracks);
    ASSERT_EQ(results.size(), 61u);
    EXPECT_FALSE(results[0].ok);
    for (size_t i = 1; i < results.size(); i++) EXPECT_EQ(results[i].skipped_for, 0u);
}

TEST_F(StepRunnerTest, WhatEndsOneTrackEndsAll) {
    watcher.begins = [](const StepResult& step) {
        if (step.label == "last") throw Interrupted(SIGINT);
    };
    const auto begin = std::chrono::steady_clock::now();
    const auto results =
        run("[[step]]\ntrack = 't'\nvcpu = 1\nsleep = 60\n"
            "[[step]]\ntrack = 'u'\nvcpu = 2\nat = 60\ntouch = { range = 'a' }\n[[step]]\nlabel = "
            "'last'\nsleep = 0\n");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(50));
    EXPECT_THAT(thrown, HasSubstr("ended by a signal"));
    ASSERT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0].index, 0u);
}

// It never reports; only its end is an answer.
TEST_F(StepRunnerTest, AGuestThatDoesNotReportIsEndedAtTheDeadline) {
    std::promise<std::exception_ptr> stopped;
    StepTarget target = guest.target();
    target.perform = [&](unsigned vcpu, const abi::Step& step) -> Performed {
        if (step.op == abi::Op::call) return guest.perform(vcpu, step);
        auto cause = stopped.get_future();
        if (cause.wait_for(std::chrono::seconds(30)) == std::future_status::ready)
            std::rethrow_exception(cause.get());
        throw std::runtime_error("nobody ended it");
    };
    target.stop = [&](std::exception_ptr cause) { stopped.set_value(cause); };
    const Scenario scenario = scenario_of("[[step]]\ntouch = { range = 'a' }\ndeadline = '20ms'\n", "");
    StepRunner runner(target, watcher);
    EXPECT_THROW(runner.run(timeline_of(scenario.steps, 4096)), GuestDied);
    ASSERT_EQ(runner.results().size(), 2u);
    EXPECT_THAT(runner.results()[1].problem, HasSubstr("the guest died"));
}

TEST_F(StepRunnerTest, AGuestThatReportsInTimeIsNotEnded) {
    const auto results = run("[[step]]\ntouch = { range = 'a' }\ndeadline = '10min'\n");
    ASSERT_EQ(results.size(), 2u);
    EXPECT_TRUE(results[1].ok) << results[1].problem;
}

// The guest's memory, as far as vCPU 1 looks there whether its command is to end.
class StopWord : public CallerMemory {
  public:
    bool read(uint64_t, void* to, size_t size) const override {
        std::memset(to, 0, size);
        return true;
    }
    bool write(uint64_t at, const void* from, size_t size) override {
        if (at != GPREMAP_WORKLOADS + GPREMAP_AREA_SIZE + offsetof(gpremap_workload, stop)) return true;
        uint64_t value = 2;
        std::memcpy(&value, from, std::min(size, sizeof value));
        stop = value;
        return true;
    }
    std::atomic<uint64_t> stop = 1;
};

TEST_F(StepRunnerTest, ACommandInTheBackgroundEndsWithAllOthers) {
    StopWord memory;
    std::atomic<unsigned> others = 0;
    StepTarget plain = guest.target();
    StepTarget target{memory, plain.perform, plain.map, plain.held_bytes, plain.pool_ready, {}};
    target.perform = [&](unsigned vcpu, const abi::Step& step) -> Performed {
        if (vcpu != 1) {
            std::this_thread::sleep_for(milliseconds(20));
            EXPECT_EQ(memory.stop, 0u);
            others++;
            return guest.perform(vcpu, step);
        }
        for (int i = 0; i < 30'000 && memory.stop == 0; i++) std::this_thread::sleep_for(milliseconds(1));
        EXPECT_EQ(others, 3u);
        Performed done = {};
        done.report.result = 128 + SIGTERM;
        return done;
    };
    const Scenario scenario = scenario_of(
        "[[step]]\ntrack = 'b'\nvcpu = 1\ncommand = { run = 'top', background = true }\n"
        "[[step]]\ntrack = 'c'\nvcpu = 2\ntouch = { range = 'a' }\n[[step]]\ntouch = { range = 'a' }\n",
        "guest = 'linux'");
    StepRunner runner(target, watcher);
    runner.run(timeline_of(scenario.steps, 4096));
    ASSERT_EQ(runner.results().size(), 4u);
    EXPECT_EQ(runner.results()[1].outcome, "stopped");
}

TEST_F(StepRunnerTest, TheWatcherIsToldOneThingAtATime) {
    std::atomic<int> inside = 0;
    int told = 0;
    auto tell = [&](const StepResult&) {
        EXPECT_EQ(inside++, 0);
        told++;
        std::this_thread::sleep_for(milliseconds(1));
        inside--;
    };
    watcher.begins = watcher.done = tell;
    run(two_tracks);
    EXPECT_EQ(told, 2 * 61);
}

TEST_F(StepRunnerTest, AfterAFailureAllIsSkippedWhereThatIsAskedFor) {
    on_failure = OnFailure::skip_the_rest;
    const auto results =
        run("[[step]]\nlabel = 'wrong'\nat = 0.02\nseal = { range = 'a' }\nexpect = { errno = 'EPERM' }\n"
            "[[step]]\nsleep = 60\n[[step]]\ntrack = 't'\nvcpu = 1\nat = 60\ntouch = { range = 'a' }\n");
    ASSERT_EQ(results.size(), 4u);
    EXPECT_THAT(results[1].problem, HasSubstr("expected EPERM"));
    for (size_t i : {2u, 3u}) EXPECT_EQ(results[i].skipped_for, 1u);
}

TEST_F(StepRunnerTest, ABoundOfAllTurnsIsJudgedWithTheLast) {
    const auto results =
        run("[[step]]\nrepeat = { times = 5, steps = [ { touch = { range = 'a' }, expect = { guest_us = { "
            "p99 = '<1' } } } ] "
            "}\n");
    ASSERT_EQ(results.size(), 6u);
    for (size_t i = 1; i < 5; i++) EXPECT_TRUE(results[i].ok) << results[i].problem;
    EXPECT_THAT(results[5].problem, HasSubstr("s.toml:7: guest_us of 5 turns: p99 is 1.0, expected <1"));
    EXPECT_EQ(results[5].row, 1u);
    EXPECT_EQ(results[5].turns, 5u);
}

TEST_F(StepRunnerTest, AWaitIsForThePool) {
    pool_ready = 0;
    watcher.sleep = [this](std::chrono::duration<double> duration) {
        sleep_for(duration);
        pool_ready += 1 << 20;
    };
    const auto results = run("[[step]]\nwait = { pool = '4MiB' }\n", nullptr, "pool = '8MiB'");
    EXPECT_TRUE(results[1].ok) << results[1].problem;
    EXPECT_EQ(results[1].outcome, "4 MiB in the warm pool");
}

TEST_F(StepRunnerTest, AWaitThatIsTooLongFails) {
    const auto results =
        run("[[step]]\nwait = { pool = '4MiB', timeout = '30ms' }\n", nullptr, "pool = '8MiB'");
    EXPECT_THAT(results[1].problem, HasSubstr("waited 0.03 s for 4 MiB in the warm pool; there are 1 MiB"));
}

TEST_F(StepRunnerTest, ASeedIsInTheResult) {
    const auto results =
        run("[[step]]\nresize = { range = 'a', random = { from = '4MiB', to = '16MiB', seconds = 0, steps = "
            "2, seed = 5 } }\n");
    ASSERT_EQ(results.size(), 3u);
    EXPECT_EQ(results[2].args["seed"], 5);
}

class Recorder : public Companions {
  public:
    void begin(std::chrono::steady_clock::time_point) override {}
    void before(std::span<const CallAction> calls, const Names& names, unsigned vcpu,
                abi::Step& step) override {
        said.push_back(fmt::format("{} calls on {}, a at {:#x}", calls.size(), vcpu, at(names)));
        EXPECT_EQ(step.op, abi::Op::call);
    }
    void after(std::span<const CallAction> calls, const Names& names) override {
        said.push_back(fmt::format("{} made, a at {:#x}", calls.size(), at(names)));
    }
    uint64_t ops(const std::string&) override { return 0; }

    static uint64_t at(const Names& names) {
        const NamedRange* range = names.find("a");
        return range ? range->at : 0;
    }

    std::vector<std::string> said;
};

TEST_F(StepRunnerTest, CompanionsAreToldOfCallsAlone) {
    Recorder recorder;
    run("[[step]]\ntouch = { range = 'a' }\n[[step]]\nquery = { range = 'a' }\n"
        "[[step]]\nvcpu = 3\nbatch = [ { seal = { range = 'a' } }, { seal = { range = 'a' } } ]\n",
        &recorder);
    EXPECT_THAT(recorder.said, ElementsAre("1 calls on 0, a at 0x0", "1 made, a at 0x200000000",
                                           "2 calls on 3, a at 0x200000000", "2 made, a at 0x200000000"));
    EXPECT_EQ(thrown, "");
}

}  // namespace
}  // namespace gpremap
