// Where a result comes from, and a result as what is to be run again.
#include "vmm/report/provenance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/vmm/report/run_json.h"
#include "vmm/base/errors.h"
#include "vmm/report/rerun.h"

namespace gpremap {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(Sha256, IsThatOfTheStandard) {
    EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(ProvenanceJson, HasWhatTheHostSays) {
    Provenance provenance;
    provenance.revision = "0123abcd";
    provenance.command = {"gpremap", "run", "s.toml"};
    provenance.folder = "/f";
    provenance.before.governor = "performance";
    provenance.before.load = {0.5, 1, 2};
    provenance.before.steal_ms = 7;
    provenance.before.pressure = {{"cpu", Pressure{1.5, 0.25, 99}}, {"io", std::nullopt}};
    const JsonObject json = json_of(provenance);
    EXPECT_EQ(json["version"], GPREMAP_VERSION);
    EXPECT_EQ(json["revision"], "0123abcd");
    EXPECT_EQ(json["command"], JsonObject({"gpremap", "run", "s.toml"}));
    EXPECT_EQ(json["folder"], "/f");
    EXPECT_EQ(json["started"], "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(json["host_before"].dump(),
              R"({"governor":"performance","load":[0.5,1.0,2.0],"steal_ms":7,)"
              R"("pressure":{"cpu":{"avg10":1.5,"avg60":0.25,"total_us":99},"io":null}})");
    EXPECT_EQ(json["host_after"].dump(), R"({"governor":null,"load":null,"steal_ms":null,"pressure":{}})");
}

// ---- run again ----

fs::path new_folder() {
    std::string name = fs::temp_directory_path() / "rerun-XXXXXX";
    return mkdtemp(name.data());
}

class RerunTest : public testing::Test {
  protected:
    RerunTest() {
        run_.source.file = "dir/s.toml";
        run_.source.text = "[[step]]\nsleep = 0  # \"quoted\" \xc3\xa4\n";
        run_.source.overrides = {Backing::memfd, Mechanism::window, 2ull << 20, 4ull << 20};
        run_.parameters = {{"size", "256MiB"}, {"times", int64_t{3}}, {"share", 0.5}, {"on", true}};
    }
    ~RerunTest() override { fs::remove_all(folder_); }

    std::string write(const std::string& text) const {
        std::ofstream(folder_ / "r.json") << text;
        return folder_ / "r.json";
    }

    std::string complaint_about(const std::string& text) const {
        try {
            read_rerun(write(text));
        } catch (const ConfigError& error) {
            return error.what();
        }
        return "";
    }

    RunResult run_;
    const fs::path folder_ = new_folder();
};

TEST_F(RerunTest, IsWhatWasRun) {
    const ScenarioSource rerun = read_rerun(write(json_of(run_).dump(2)));
    EXPECT_EQ(rerun.file, run_.source.file);
    EXPECT_EQ(rerun.text, run_.source.text);
    EXPECT_EQ(rerun.overrides.backing, Backing::memfd);
    EXPECT_EQ(rerun.overrides.mechanism, Mechanism::window);
    EXPECT_EQ(rerun.overrides.granule, 2ull << 20);
    EXPECT_EQ(rerun.overrides.pool, 4ull << 20);
    ASSERT_EQ(rerun.overrides.parameters.size(), run_.parameters.size());
    for (size_t i = 0; i < run_.parameters.size(); i++) {
        EXPECT_EQ(rerun.overrides.parameters[i].name, run_.parameters[i].name);
        EXPECT_EQ(rerun.overrides.parameters[i].values, std::vector{run_.parameters[i].value});
    }
}

TEST_F(RerunTest, HasNoOptionsWhereNoneWereGiven) {
    run_.source.overrides = {};
    const Overrides overrides = read_rerun(write(json_of(run_).dump())).overrides;
    EXPECT_FALSE(overrides.backing || overrides.mechanism || overrides.granule || overrides.pool);
}

TEST_F(RerunTest, RefusesWhatIsNoWholeResult) {
    const std::string whole = json_of(run_).dump();
    for (size_t length : {size_t{0}, size_t{1}, whole.size() / 2, whole.size() - 1})
        EXPECT_THAT(complaint_about(whole.substr(0, length)),
                    HasSubstr("r.json: not a whole result: expected JSON up to the end, and at byte " +
                              std::to_string(length + 1)));
    EXPECT_THAT(complaint_about(whole + "x"), HasSubstr("not a whole result"));
    EXPECT_THAT(complaint_about("[1]"), HasSubstr("no '/schema': expected a result of `gpremap run`"));
    EXPECT_THAT(complaint_about(R"({"schema":"gpremap.bench/1"})"),
                HasSubstr("expected schema gpremap.run/1, got 'gpremap.bench/1'"));
    EXPECT_THAT(complaint_about(R"({"schema":"gpremap.run/1","steps":[]})"),
                HasSubstr("no '/provenance/scenario/file'"));
}

TEST_F(RerunTest, RefusesWhatHasBeenChanged) {
    JsonObject json = json_of(run_);
    json["provenance"]["scenario"]["text"] = "[[step]]\nsleep = 1\n";
    EXPECT_THAT(complaint_about(json.dump()), HasSubstr("has not the stated sha256"));
    json = json_of(run_);
    json["provenance"]["scenario"]["options"]["backing"] = "tape";
    EXPECT_THAT(complaint_about(json.dump()), HasSubstr("/options/backing': 'tape' is not known"));
    json = json_of(run_);
    json["provenance"]["scenario"]["options"]["pool"] = -1;
    EXPECT_THAT(complaint_about(json.dump()), HasSubstr("/options/pool': expected a number of bytes"));
}

TEST_F(RerunTest, RefusesAFileThatIsNotThere) {
    EXPECT_THROW(read_rerun(folder_ / "absent.json"), ConfigError);
}

}  // namespace
}  // namespace gpremap
