// Tracks on a real VM: what each vCPU does, the others' changes leave alone.
#include <algorithm>
#include <chrono>
#include <thread>

#include "tests/vmm/kvm_test.h"
#include "vmm/scenario/reading.h"
#include "vmm/scenario/step_runner.h"

namespace gpremap {
namespace {

class Tracks : public KvmTest {
  protected:
    std::vector<StepResult> run(std::string_view text) {
        const Scenario scenario = parse_scenario(text, "tracks.toml");
        boot(scenario.machine);
        StepWatcher watcher;
        watcher.sleep = [](std::chrono::duration<double> duration) { std::this_thread::sleep_for(duration); };
        StepRunner runner(target_of(*machine_), watcher);
        runner.run(timeline_of(scenario.steps, scenario.machine.memory.granule));
        return runner.results();
    }
};

TEST_F(Tracks, MoveResizeAndWriteAtOnce) {
    const auto results = run(R"(
[vm]
vcpus = 4
limit = "256MiB"
[[step]]
track = "mover"
vcpu = 1
map = { name = "moved", at = "8GiB", size = "8MiB" }
[[step]]
track = "mover"
fill = { range = "moved", with = "stamp" }
[[step]]
track = "mover"
repeat = { times = 20, steps = [
    { move = { range = "moved", to = "9GiB" } },
    { verify = { range = "moved", with = "stamp" } },
    { move = { range = "moved", to = "8GiB" } },
] }
[[step]]
track = "resizer"
vcpu = 2
map = { name = "resized", at = "20GiB", size = "8MiB" }
[[step]]
track = "resizer"
fill = { range = "resized", with = "stamp", seed = 7 }
[[step]]
track = "resizer"
repeat = { times = 20, steps = [
    { grow = { range = "resized", new_size = "+8MiB" } },
    { shrink = { range = "resized", new_size = "-8MiB" } },
    { verify = { range = "resized", with = "stamp", seed = 7 } },
] }
[[step]]
map = { name = "written", at = "30GiB", size = "8MiB" }
[[step]]
track = "writer"
vcpu = 3
repeat = { times = 20, steps = [
    { fill = { range = "written", with = "a" } },
    { verify = { range = "written", with = "a" } },
] }
)");
    ASSERT_EQ(results.size(), 5u + 60 + 60 + 40);
    for (const StepResult& result : results) EXPECT_TRUE(result.ok) << result.index << ": " << result.problem;
    auto end_of = [&](const char* track) {
        return std::ranges::find(results.rbegin(), results.rend(), track, &StepResult::track)->end_ns;
    };
    auto begin_of = [&](const char* track) {
        return std::ranges::find(results, track, &StepResult::track)->begin_ns;
    };
    EXPECT_LT(begin_of("mover"), end_of("resizer"));
    EXPECT_LT(begin_of("resizer"), end_of("mover"));
    EXPECT_LT(begin_of("writer"), end_of("mover"));
}

TEST_F(Tracks, ADeathOfTheGuestEndsAll) {
    const auto begin = std::chrono::steady_clock::now();
    const Scenario scenario = parse_scenario(R"(
[vm]
vcpus = 2
[[step]]
map = { name = "a", at = "8GiB", size = "8MiB" }
[[step]]
track = "sleeper"
sleep = 600
)",
                                             "tracks.toml");
    boot(scenario.machine);
    StepWatcher watcher;
    watcher.sleep = [](std::chrono::duration<double> duration) { std::this_thread::sleep_for(duration); };
    watcher.done = [&](const StepResult&) {
        machine_->guest().stop(std::make_exception_ptr(GuestDied("so")));
    };
    StepRunner runner(target_of(*machine_), watcher);
    std::vector<ScenarioStep> steps = scenario.steps;
    steps.insert(steps.begin() + 1, steps.front());
    EXPECT_THROW(runner.run(timeline_of(steps, scenario.machine.memory.granule)), GuestDied);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

}  // namespace
}  // namespace gpremap
