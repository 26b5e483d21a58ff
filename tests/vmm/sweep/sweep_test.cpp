#include "vmm/sweep/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "vmm/base/errors.h"
#include "vmm/base/json_file.h"
#include "vmm/sweep/program_run.h"

namespace gpremap {
namespace {

using testing::Each;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::SizeIs;

const std::string scenario = R"([parameters]
size = ["4MiB", "8MiB"]
times = [1, 2, 3]
[[step]]
map = { name = "heap", size = "$size" }
[[step]]
repeat = { times = "$times", steps = [ { touch = { range = "heap" } } ] }
)";

class Sweeps : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "sweep-XXXXXX";
        folder_ = mkdtemp(pattern.data());
        std::ofstream(file()) << scenario;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    std::string file() const { return folder_ / "s.toml"; }
    SweepPlan plan(const Overrides& overrides = {}) const {
        return read_sweep(file(), overrides, "/bin/program", folder_);
    }

    // In place of the program: notes the command, writes a result as `run` does, and ends in `status`.
    RunCommand stand_in(int status = 0) {
        return [this, status](const std::vector<std::string>& command) {
            commands_.push_back(shell_line(command));
            const auto json = std::ranges::find(command, "--json");
            const bool writes = status <= 1 && json != command.end();
            if (writes) std::ofstream(*(json + 1)) << result(status).dump();
            return status;
        };
    }
    static JsonObject result(int status) {
        const JsonObject step = {{"call", "touch"},
                                 {"args", JsonObject::object()},
                                 {"ok", true},
                                 {"call_ns", 0},
                                 {"guest_ns", 100}};
        return {{"schema", "gpremap.run/1"},
                {"host", JsonObject::object()},
                {"steps", {step, step}},
                {"summary", {{"passed", 2}, {"failed", status}, {"skipped", 0}}}};
    }
    SweepOutcome run(const SweepLimits& limits, int status = 0) {
        return run_sweep(plan(), limits, events_, stand_in(status));
    }
    std::set<std::string> results() const {
        std::set<std::string> names;
        for (const auto& each : std::filesystem::directory_iterator(folder_))
            if (each.path().extension() == ".json") names.insert(each.path().filename());
        return names;
    }

    std::filesystem::path folder_;
    std::vector<std::string> commands_;
    SweepEvents events_{[](size_t, const std::string&) {}, [](size_t, const std::string&, int) {},
                        [] { return false; }};
};

TEST_F(Sweeps, CommandsStandAlone) {
    const SweepPlan all = plan();
    ASSERT_THAT(all.combinations, SizeIs(6));
    const std::string line = shell_line(all.command(1, all.result(1, 0)));
    EXPECT_THAT(line, HasSubstr("/bin/program run " + file() + " -q --set size=4MiB --set times=2 --json " +
                                folder_.string() + "/"));
    EXPECT_EQ(shell_line({"a b", "it's", "", "x=[1]", "plain-1.0%"}),
              "'a b' 'it'\\''s' '' 'x=[1]' plain-1.0%");
}

TEST_F(Sweeps, NamesAreOfWhatDecides) {
    const SweepPlan all = plan();
    std::set<std::string> names;
    for (size_t i = 0; i < 6; i++)
        for (unsigned repetition = 0; repetition < 3; repetition++) names.insert(all.result(i, repetition));
    EXPECT_THAT(names, SizeIs(18));
    Overrides overrides;
    overrides.pool = 0;
    EXPECT_NE(plan(overrides).result(0, 0), all.result(0, 0));
    overrides = {};
    overrides.parameters = {read_setting("times=[2,3]")};
    EXPECT_EQ(plan(overrides).result(0, 0), all.result(1, 0));  // by what it is, not by its place
    std::ofstream(file(), std::ios::app) << "[[step]]\ncheckpoint = true\n";
    EXPECT_NE(plan().result(0, 0), all.result(0, 0));
}

TEST_F(Sweeps, EveryCombinationIsCheckedBefore) {
    Overrides overrides;
    overrides.parameters = {read_setting("times=[1,\"often\"]")};
    try {
        plan(overrides);
        FAIL();
    } catch (const ConfigError& error) {
        EXPECT_THAT(error.what(), HasSubstr("with size=4MiB times=often:\n"));
        EXPECT_THAT(error.what(), HasSubstr("(parameter times, --set times=often): expected an integer"));
    }
}

TEST_F(Sweeps, RunAllInShuffledOrderRepetitionByRepetition) {
    const SweepOutcome outcome = run({.repeat = 3, .warmup = 1, .seed = 5});
    EXPECT_EQ(outcome.status, 0);
    ASSERT_THAT(commands_, SizeIs(6 * 4));
    std::vector<std::vector<std::string>> rounds;
    for (size_t round = 0; round < 4; round++) {
        std::vector<std::string> part(commands_.begin() + static_cast<ptrdiff_t>(6 * round),
                                      commands_.begin() + static_cast<ptrdiff_t>(6 * round + 6));
        for (std::string& each : part) each = each.substr(0, each.find(" --json"));
        rounds.push_back(part);
    }
    EXPECT_THAT(commands_[0], testing::Not(HasSubstr("--json")));  // a warm-up
    EXPECT_NE(rounds[1], rounds[2]);
    for (auto& round : rounds) std::ranges::sort(round);
    EXPECT_THAT(rounds, Each(rounds[0]));
    EXPECT_THAT(results(), SizeIs(18));
    EXPECT_EQ(outcome.combinations[0].runs, 3u);
    EXPECT_EQ(outcome.combinations[0].median, 100);
    EXPECT_EQ(outcome.combinations[0].metric, "touch: guest_ns");
}

TEST_F(Sweeps, ResumeWhatIsNotThere) {
    run({.repeat = 2});
    const auto whole = results();
    const std::vector<std::string> names(whole.begin(), whole.end());
    std::filesystem::remove(folder_ / names[3]);
    std::ofstream(folder_ / names[5]) << "{\"schema\":";  // cut
    commands_.clear();
    run({.repeat = 2, .warmup = 1});
    EXPECT_THAT(results(), ElementsAreArray(whole));
    EXPECT_LE(commands_.size(), 4u);  // two, and a warm-up for each combination of them
    EXPECT_GE(commands_.size(), 3u);
    commands_.clear();
    run({.repeat = 2, .warmup = 1});
    EXPECT_THAT(commands_, SizeIs(0));
}

TEST_F(Sweeps, GoOnAfterAFailureAndEndInTheWorst) {
    const SweepOutcome lacking = run({}, 3);
    EXPECT_EQ(lacking.status, 3);
    EXPECT_THAT(commands_, SizeIs(6));
    EXPECT_EQ(lacking.combinations[2].failed, 1u);
    EXPECT_EQ(run({}, 1).status, 1);
    commands_.clear();
    EXPECT_EQ(run({}).status, 1);  // what was there already had failed
    EXPECT_THAT(commands_, SizeIs(0));
}

TEST_F(Sweeps, OneCombination) {
    const SweepOutcome outcome = run({.repeat = 2, .only = 4});
    EXPECT_THAT(commands_, SizeIs(2));
    EXPECT_THAT(commands_, Each(HasSubstr("--set size=8MiB --set times=2")));
    EXPECT_EQ(outcome.combinations.at(0).index, 4u);
}

TEST_F(Sweeps, EndWherePreciseEnough) {
    run({.repeat = 100, .precision = 0.02});
    EXPECT_THAT(commands_, SizeIs(6 * 3));
}

TEST_F(Sweeps, EndWithTheBudgetOrAnInterruption) {
    EXPECT_FALSE(run({.budget = std::chrono::seconds(0)}).is_complete);
    EXPECT_THAT(commands_, SizeIs(0));
    events_.is_interrupted = [&] { return commands_.size() >= 2; };
    EXPECT_FALSE(run({}).is_complete);
    EXPECT_THAT(commands_, SizeIs(2));
}

TEST(ProgramRun, EndsAsItsProgramDoes) {
    EXPECT_EQ(run_program({"/bin/true"}), 0);
    EXPECT_EQ(run_program({"/bin/sh", "-c", "exit 3"}), 3);
    EXPECT_EQ(run_program({"/bin/sh", "-c", "kill -9 $$"}), 128 + 9);
    EXPECT_EQ(run_program({"/nowhere"}), 127);
}

}  // namespace
}  // namespace gpremap
