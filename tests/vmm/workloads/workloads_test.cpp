// Workloads on a real VM, beside steps: that they measure, follow their ranges, and notice what is wrong. argv[1] is
// the folder of the example programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/vmm/kvm_test.h"
#include "vmm/scenario/reading.h"
#include "vmm/scenario/step_runner.h"
#include "vmm/scenario/timeline.h"
#include "vmm/workloads/runner.h"

namespace gpremap {
namespace {

using testing::HasSubstr;
using testing::Lt;

std::string examples;

struct Ran {
    std::vector<StepResult> steps;
    std::vector<WorkloadResult> workloads;
    std::vector<WorkloadSeries> series;
};

class WorkloadsTest : public KvmTestWith<Mechanism> {
  protected:
    Ran run(const std::string& text) {
        Scenario scenario = parse_scenario(text, "test.toml", {});
        scenario.machine.memory.mechanism = GetParam();
        boot(scenario.machine);
        StepWatcher watcher;
        watcher.sleep = [](std::chrono::duration<double> time) { std::this_thread::sleep_for(time); };
        WorkloadRunner workloads(*machine_, scenario.workloads, nullptr);
        StepRunner runner(target_of(*machine_), watcher, &workloads);
        runner.run(timeline_of(scenario.steps, scenario.machine.memory.granule));
        workloads.finish();
        Ran ran{runner.results(), workloads.results(), workloads.series()};
        for (const StepResult& step : ran.steps) EXPECT_TRUE(step.ok) << step.call << ": " << step.problem;
        return ran;
    }

    static std::string workload(const std::string& keys) { return "[[workload]]\nvcpu = 1\n" + keys + "\n"; }
    static std::string step(const std::string& keys) { return "[[step]]\n" + keys + "\n"; }
    const std::string two_vcpus = "[vm]\nvcpus = 2\nlimit = '256MiB'\n";
    const std::string map_heap = step("map = { name = 'heap', size = '4MiB' }");
    const std::string a_while = step("sleep = 0.2"), a_longer_while = step("sleep = 1");
};
INSTANTIATE_TEST_SUITE_P(, WorkloadsTest, testing::Values(Mechanism::window, Mechanism::memslot),
                         name_of_mechanism);

void expect_consistent(const WorkloadResult& workload, const WorkloadSeries& series) {
    SCOPED_TRACE(workload.name);
    EXPECT_TRUE(workload.ok) << workload.problem;
    EXPECT_GT(workload.ops, 0u);
    EXPECT_EQ(workload.latency.n, workload.ops);
    EXPECT_LE(workload.latency.p50, workload.latency.p99);
    EXPECT_LE(workload.latency.p99, workload.latency.max);
    EXPECT_LE(workload.beside_calls.n, workload.ops);
    EXPECT_LE(workload.beside_calls.max, workload.latency.max);
    EXPECT_TRUE(std::ranges::is_sorted(series.t_ns));
    EXPECT_EQ(series.t_ns.size(), series.ops.size());
    EXPECT_LE(std::accumulate(series.ops.begin(), series.ops.end(), uint64_t{0}), workload.ops);
}

TEST_P(WorkloadsTest, EveryKindMeasuresThroughMoves) {
    for (const char* keys : {"do = 'stream'\nrange = 'heap'", "do = 'chase'\nrange = 'heap'", "do = 'jitter'",
                             "do = 'touch'\nrange = 'heap'\naccess = 'sequential'\nwrite = 1.0",
                             "do = 'touch'\nrange = 'heap'\naccess = 'zipf'\nsample = '100us'",
                             "do = 'verify'\nrange = 'heap'"}) {
        const Ran ran = run(two_vcpus + workload(keys) + map_heap + a_while +
                            step("move = { range = 'heap', to = '16GiB' }") + a_while);
        expect_consistent(ran.workloads.front(), ran.series.front());
        EXPECT_FALSE(ran.series.front().t_ns.empty()) << keys;
    }
}

// A vCPU that measures leaves the guest only for the faults of its range and of its own area.
TEST_P(WorkloadsTest, MeasuringMakesNoExit) {
    const Ran ran =
        run(two_vcpus + workload("do = 'touch'\nrange = 'heap'\nsample = '100us'") + map_heap +
            step("touch = { range = 'heap', write = true }") + a_while +
            step("repeat = { times = 3, steps = [{ sleep = 0.1 }, { touch = { range = 'heap' } }] }"));
    const WorkloadResult& workload = ran.workloads.front();
    expect_consistent(workload, ran.series.front());
    const StepResult& last = ran.steps.back();
    // The step's own: it is handed over and reported. Timer ticks of the host are exits, too.
    EXPECT_LT(last.kvm.exits, workload.ops / 20);
}

TEST_P(WorkloadsTest, VerifyFollowsItsRangeThroughEverySize) {
    const Ran ran = run(two_vcpus + workload("do = 'verify'\nrange = 'heap'") + map_heap + a_while + step(R"(
repeat = { times = 8, steps = [
  { move = { range = "heap", to = "16GiB" } },
  { grow = { range = "heap", new_size = "12MiB" } },
  { move = { range = "heap", to = "8GiB" } },
  { shrink = { range = "heap", new_size = "1MiB" } },
  { linux = { range = "heap", new_size = "4MiB", flags = ["MAYMOVE"] } },
  { map = { name = "other", at = "24GiB", size = "4MiB" } },
  { exchange = { a = "heap", b = "other" } },
  { exchange = { a = "heap", b = "other" } },
  { batch = [ { move = { range = "heap", to = "20GiB" } }, { move = { range = "other", to = "28GiB" } } ] },
  { unmap = { range = "other" } },
] })") + a_while);
    const WorkloadResult& workload = ran.workloads.front();
    expect_consistent(workload, ran.series.front());
    EXPECT_GT(workload.beside_calls.n, 0u);
}

TEST_P(WorkloadsTest, VerifyNoticesAWordThatIsNotItsOwn) {
    const Ran ran = run(two_vcpus + workload("do = 'verify'\nrange = 'heap'") + map_heap + a_while +
                        step("access = { at = 'heap+8KiB', kind = 'write', value = 17 }") + a_longer_while);
    EXPECT_FALSE(ran.workloads.front().ok);
    EXPECT_THAT(ran.workloads.front().problem, HasSubstr("is 0x11, expected"));
}

TEST_P(WorkloadsTest, AWorkloadIsIdleWhileItsRangeIsNotThere) {
    const Ran ran = run(two_vcpus + workload("do = 'touch'\nrange = 'heap'") + map_heap + a_while +
                        step("unmap = { range = 'heap' }") + a_while +
                        step("map = { name = 'heap', at = '32GiB', size = '2MiB' }") + a_while);
    expect_consistent(ran.workloads.front(), ran.series.front());
    EXPECT_EQ(ran.workloads.front().faults, 0u);
}

TEST_P(WorkloadsTest, AFaultThatIsNoMoveEndsIt) {
    const Ran ran = run(two_vcpus + workload("do = 'touch'\nrange = 'heap'\nwrite = 1.0") + map_heap +
                        a_longer_while + step("protect = { range = 'heap', prot = 'r' }") + a_while);
    EXPECT_FALSE(ran.workloads.front().ok);
    EXPECT_THAT(ran.workloads.front().problem, HasSubstr("it ran into a fault at 0x"));
}

TEST_P(WorkloadsTest, AnOpenLoopDoesNoMoreThanItIsAskedFor) {
    const Ran ran = run(two_vcpus + workload("do = 'touch'\nrange = 'heap'\nrate = '2k/s'") + map_heap +
                        a_while + a_while + a_while);
    const WorkloadResult& workload = ran.workloads.front();
    expect_consistent(workload, ran.series.front());
    ASSERT_TRUE(workload.asked_per_s);
    EXPECT_LT(workload.achieved_per_s, *workload.asked_per_s * 1.05);
}

TEST_P(WorkloadsTest, OneWhoseRangeNeverComesSaysSo) {
    const Ran ran = run(two_vcpus + workload("do = 'touch'\nrange = 'heap'") +
                        step("map = { name = 'heap', size = '1TiB' }\nexpect = { errno = 'ENOMEM' }"));
    EXPECT_FALSE(ran.workloads.front().ok);
    EXPECT_THAT(ran.workloads.front().problem, HasSubstr("its range was never there"));
}

// ---- programs ----

TEST_P(WorkloadsTest, TheHashTableFindsAllItsKeys) {
    for (const char* way : {"realloc", "copy"}) {
        const Ran ran = run(two_vcpus +
                            workload("do = 'program'\nprogram = '" + examples +
                                     "/hash-table'\narguments = ['" + way + "', '40000']") +
                            a_longer_while);
        const WorkloadResult& workload = ran.workloads.front();
        expect_consistent(workload, ran.series.front());
        EXPECT_TRUE(
            std::ranges::any_of(workload.events, [](const auto& event) { return event.name == "growth"; }));
    }
}

TEST_P(WorkloadsTest, TheStoreIsSavedAsOfOneMoment) {
    for (const char* way : {"snapshot", "copy"}) {
        const Ran ran = run(two_vcpus +
                            workload("do = 'program'\nprogram = '" + examples + "/store'\narguments = ['" +
                                     way + "', '65536', '500']") +
                            a_longer_while + a_longer_while);
        const WorkloadResult& workload = ran.workloads.front();
        expect_consistent(workload, ran.series.front());
        EXPECT_TRUE(workload.values.contains("saved")) << way;
    }
}

TEST_P(WorkloadsTest, AProgramSaysWhyItFails) {
    const Ran ran = run(two_vcpus + workload("do = 'program'\nprogram = '" + examples + "/store'") + a_while);
    EXPECT_THAT(ran.workloads.front().problem, HasSubstr("expected arguments such as"));
}

}  // namespace
}  // namespace gpremap

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 2) return 2;
    gpremap::examples = argv[1];
    return RUN_ALL_TESTS();
}
