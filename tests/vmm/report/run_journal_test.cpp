// What a run leaves behind line by line.
#include "vmm/report/run_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace gpremap {
namespace {

namespace fs = std::filesystem;

fs::path new_folder() {
    std::string name = fs::temp_directory_path() / "journal-XXXXXX";
    return mkdtemp(name.data());
}

class RunJournalTest : public testing::Test {
  protected:
    ~RunJournalTest() override { fs::remove_all(folder_); }

    // All lines but one that was cut.
    std::vector<JsonObject> lines() const {
        std::vector<JsonObject> lines;
        std::ifstream file(path_);
        for (std::string line; std::getline(file, line) && !file.eof();)
            lines.push_back(JsonObject::parse(line));
        return lines;
    }

    const fs::path folder_ = new_folder();
    const std::string path_ = folder_ / "r.jsonl";
};

TEST(RunJournalBeside, HasItsEndingInPlaceOfTheResults) {
    EXPECT_EQ(journal_beside("a/r.json"), "a/r.jsonl");
    EXPECT_EQ(journal_beside("r.json.old"), "r.json.old.jsonl");
    EXPECT_EQ(journal_beside("result"), "result.jsonl");
}

TEST_F(RunJournalTest, HasALineForEachEvent) {
    RunResult run;
    run.parameters = {{"size", "1MiB"}};
    StepResult step;
    step.call = "map";
    run.steps = {step};
    RunJournal journal(path_);
    journal.begin(run);
    journal.note("so");
    journal.warning("beware");
    journal.step(step, 2);
    journal.sample({"writer", 1, {10, 20}, {3, 4}, {24, 32}, {7, 8}}, 1);
    journal.end(run, true);
    const std::vector<JsonObject> all = lines();
    ASSERT_EQ(all.size(), 6u);
    EXPECT_EQ(all[0]["event"], "begin");
    EXPECT_EQ(all[0]["schema"], "gpremap.journal/1");
    EXPECT_EQ(all[0]["parameters"], (JsonObject{{"size", "1MiB"}}));
    EXPECT_TRUE(all[0].contains("provenance"));
    EXPECT_EQ(all[1], (JsonObject{{"event", "note"}, {"text", "so"}}));
    EXPECT_EQ(all[2], (JsonObject{{"event", "warning"}, {"text", "beware"}}));
    EXPECT_EQ(all[3]["event"], "step");
    EXPECT_EQ(all[3]["call"], "map");
    EXPECT_EQ(all[3]["stall_ns"].size(), 2u);
    EXPECT_EQ(all[4].dump(),
              R"({"event":"sample","workload":"writer","vcpu":1,"t_ns":20,"ops":4,"bytes":32,"max_ns":8})");
    EXPECT_EQ(all[5]["event"], "end");
    EXPECT_EQ(all[5]["interrupted"], true);
    EXPECT_EQ(all[5]["summary"]["passed"], 1);
    EXPECT_TRUE(all[5]["died"].is_null());
}

TEST_F(RunJournalTest, ReplacesAnOlderOne) {
    std::ofstream(path_) << std::string(10000, 'x');
    RunJournal journal(path_);
    journal.note("new");
    EXPECT_EQ(lines().size(), 1u);
}

// Whoever writes is killed between two lines, and has closed nothing.
TEST_F(RunJournalTest, LosesNoLineWithItsWriter) {
    const pid_t writer = fork();
    if (writer == 0) {
        RunJournal journal(path_);
        for (int i = 0; i < 100; i++) journal.note("line " + std::to_string(i));
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(waitpid(writer, &status, 0), writer);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(lines().size(), 100u);
}

// A limit of the file's size stands for a full disk.
TEST_F(RunJournalTest, EndsWhereTheDiskIsFull) {
    const pid_t writer = fork();
    if (writer == 0) {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{1000, 1000};
        setrlimit(RLIMIT_FSIZE, &limit);
        RunJournal journal(path_);
        for (int i = 0; i < 100; i++) journal.note("line " + std::to_string(i));
        _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(writer, &status, 0), writer);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_GT(lines().size(), 10u);
    EXPECT_LE(fs::file_size(path_), 1000u);
}

TEST_F(RunJournalTest, GoesOnWithoutAFile) {
    RunJournal absent(folder_ / "absent" / "r.jsonl");
    absent.note("lost");
    fs::create_directory(path_);
    RunJournal folder(path_);
    folder.note("lost");
    EXPECT_TRUE(fs::is_empty(path_));
}

}  // namespace
}  // namespace gpremap
