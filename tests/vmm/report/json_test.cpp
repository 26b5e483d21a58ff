// The result of a run as JSON: a value for each key that docs/results.md lists.
#include <gtest/gtest.h>

#include "tests/vmm/report/run_json.h"

namespace gpremap {
namespace {

StepResult step_called(const std::string& call) {
    StepResult step;
    step.call = call;
    return step;
}

StepResult move_in(uint64_t guest_ns) {
    StepResult step = step_called("move");
    step.moved = true;
    step.bytes = 4096;
    step.guest_ns = guest_ns;
    return step;
}

JsonObject json_of_step(const StepResult& step) {
    RunResult run;
    run.steps.push_back(step);
    return json_of(run)["steps"][0];
}

TEST(RunJson, HasTheVmAsConfigured) {
    RunResult run;
    run.machine.vcpus = 2;
    run.machine.memory.aperture_base = 1ull << 30;
    run.machine.memory.aperture_size = 2ull << 30;
    run.machine.memory.limit = 512ull << 20;
    run.machine.memory.pool = 64ull << 20;
    run.machine.memory.pre_fault = true;
    EXPECT_EQ(json_of(run)["vm"], (JsonObject{{"vcpus", 2},
                                              {"granule", 4096},
                                              {"backing", "auto"},
                                              {"mechanism", "auto"},
                                              {"pause", "auto"},
                                              {"snapshots", "later"},
                                              {"aperture", {{"base", 1 << 30}, {"size", 2ull << 30}}},
                                              {"limit", 512 << 20},
                                              {"pool", 64 << 20},
                                              {"pre_fault", true},
                                              {"ring", false}}));
}

TEST(RunJson, SaysWhatIsNotConfiguredToo) {
    const JsonObject vm = json_of(RunResult())["vm"];
    EXPECT_EQ(vm["pool"], 0);
    EXPECT_EQ(vm["pre_fault"], false);
}

TEST(RunJson, HasTheTime) {
    RunResult run;
    run.began = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'000'000'000'007));
    EXPECT_EQ(json_of(run)["began"], "2001-09-09T01:46:40.007Z");
    StepResult step = step_called("fill");
    step.begin_ns = 12;
    step.end_ns = 345;
    EXPECT_EQ(json_of_step(step)["begin_ns"], 12);
    EXPECT_EQ(json_of_step(step)["end_ns"], 345);
}

TEST(RunJson, HasWhoDidAStepWithWhat) {
    StepResult step = step_called("fill");
    step.vcpu = 3;
    step.args = {{"at", 8192}, {"with", "stamp"}, {"seed", 7}};
    const JsonObject json = json_of_step(step);
    EXPECT_EQ(json["vcpu"], 3);
    EXPECT_EQ(json["args"], step.args);
    EXPECT_EQ(json["expect"], JsonObject::object());
    EXPECT_TRUE(json["fault"].is_null());
    EXPECT_TRUE(json["problem"].is_null());
    EXPECT_FALSE(json.contains("map"));
    EXPECT_FALSE(json.contains("extents"));
}

TEST(RunJson, HasTheFaultThatCameBesideTheOneExpected) {
    StepResult step = step_called("access");
    step.expect = {{"fault", {{"kind", "write"}, {"address", 4096}}}};
    step.fault = abi::Fault{};
    step.fault->kind = abi::FaultKind::read;
    step.fault->address = 8192;
    step.fault->vcpu = 1;
    const JsonObject json = json_of_step(step);
    EXPECT_EQ(json["expect"], step.expect);
    EXPECT_EQ(json["fault"], (JsonObject{{"kind", "read"}, {"address", 8192}, {"vcpu", 1}}));
}

TEST(RunJson, HasTheMapOfACheckpoint) {
    StepResult step = step_called("checkpoint");
    MapEntry entry;
    entry.at = 4096;
    entry.size = 8192;
    entry.prot = GPREMAP_PROT_READ;
    entry.backing = Backing::memfd;
    step.map = std::vector{entry};
    const JsonObject json = json_of_step(step)["map"];
    ASSERT_EQ(json.size(), 1u);
    EXPECT_EQ(json[0]["at"], 4096);
    EXPECT_EQ(json[0]["size"], 8192);
    EXPECT_EQ(json[0]["prot"], "r");
    EXPECT_EQ(json[0]["backing"], "memfd");
    step.map->clear();
    EXPECT_EQ(json_of_step(step)["map"], JsonObject::array());
}

TEST(RunJson, HasMovesBesideCopies) {
    RunResult run;
    run.steps = {move_in(300), move_in(100), move_in(900), move_in(200), step_called("copy")};
    run.steps[4].index = 4;
    run.steps[4].bytes = 4096;
    run.steps[4].guest_ns = 1000;
    EXPECT_EQ(json_of(run)["comparisons"],
              (JsonObject::array({{{"bytes", 4096},
                                   {"moves", 4},
                                   {"median", 250},
                                   {"min", 100},
                                   {"max", 900},
                                   {"copies", {{{"index", 4}, {"guest_ns", 1000}, {"factor", 4.0}}}}}})));
}

TEST(RunJson, ComparesOnlyWhatWasBothMovedAndCopied) {
    RunResult run;
    run.steps = {move_in(300)};
    EXPECT_EQ(json_of(run)["comparisons"], JsonObject::array());
    run.steps.push_back(step_called("copy"));
    run.steps[1].bytes = 8192;
    EXPECT_EQ(json_of(run)["comparisons"], JsonObject::array());
}

TEST(RunJson, HasItsClockAndWhereItRan) {
    RunResult run;
    run.clock.tsc_khz = 2'096'000;
    run.clock.error_ns = 120;
    run.pinning.cpus = {1, 3};
    run.pinning.note = "why";
    const JsonObject json = json_of(run);
    EXPECT_EQ(json["clock"], (JsonObject{{"source", "guest TSC"}, {"tsc_khz", 2096000}, {"error_ns", 120}}));
    EXPECT_EQ(json["pinning"], (JsonObject{{"cpus", {1, 3}}, {"host_cpus", nullptr}, {"note", "why"}}));
}

TEST(RunJson, CountsSteps) {
    RunResult run;
    run.steps = {step_called("map"), step_called("map"), step_called("map")};
    run.steps[1].ok = false;
    run.steps[2].ok = false;
    run.steps[2].skipped_for = 1;
    const JsonObject json = json_of(run);
    EXPECT_EQ(json["schema"], "gpremap.run/1");
    EXPECT_EQ(json["summary"], (JsonObject{{"passed", 1}, {"failed", 1}, {"skipped", 1}}));
    EXPECT_EQ(json["steps"][2]["skipped_for"], 1);
}

}  // namespace
}  // namespace gpremap
