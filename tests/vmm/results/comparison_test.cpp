#include "vmm/results/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "vmm/base/errors.h"
#include "vmm/results/merge.h"

namespace gpremap {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

// A result of a run with 20 moves of about `ns`, and a workload.
JsonObject run_with(double ns, const std::string& host = "h", int size = 1) {
    JsonObject steps = JsonObject::array();
    for (int i = 0; i < 20; i++)
        steps.push_back({{"call", "move"},
                         {"args", {{"range", "heap"}}},
                         {"ok", true},
                         {"call_ns", ns * (1 + 0.001 * (i % 5))},
                         {"guest_ns", 2 * ns * (1 + 0.001 * (i % 7))}});
    steps.push_back(
        {{"call", "move"}, {"args", {{"range", "heap"}}}, {"ok", false}, {"call_ns", 1}, {"guest_ns", 1}});
    JsonObject t_ns, ops, latency = {{"n", 9}, {"p50", ns}, {"p99", ns}, {"p99_9", ns}};
    for (int i = 1; i <= 61; i++) {
        t_ns.push_back(i * 1e6);
        ops.push_back(1e9 / ns);
    }
    return {{"schema", "gpremap.run/1"},
            {"host", {{"kernel", host}}},
            {"began", "2026"},
            {"parameters", {{"size", size}}},
            {"steps", steps},
            {"workloads", {{{"name", "w"}, {"vcpu", 1}, {"latency_ns", latency}, {"ok", true}}}},
            {"series", {{{"workload", "w"}, {"vcpu", 1}, {"t_ns", t_ns}, {"ops", ops}}}},
            {"summary", {{"passed", 20}, {"failed", 1}, {"skipped", 0}}}};
}

class Results : public testing::Test {
  protected:
    std::string write(const std::string& name, const std::string& text) {
        const std::string path = folder_ / name;
        std::ofstream(path) << text;
        return path;
    }
    std::string write(const std::string& name, const JsonObject& json) { return write(name, json.dump()); }

    static std::vector<MeasuredRun> read(const std::string& path) {
        constexpr std::string_view schemas[] = {run_schema, merge_schema, bench_schema};
        return read_runs(path, schemas);
    }
    template <typename Work>
    static std::string error_of(Work work) {
        try {
            work();
        } catch (const ConfigError& error) {
            return error.what();
        }
        return "no error";
    }

    void SetUp() override {
        std::string pattern = testing::TempDir() + "results-XXXXXX";
        folder_ = mkdtemp(pattern.data());
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

  private:
    std::filesystem::path folder_;
};

TEST_F(Results, HaveMetrics) {
    const std::vector<Metric> metrics = metrics_of_run(run_with(1000));
    ASSERT_THAT(metrics, SizeIs(6));
    EXPECT_EQ(metrics[0].name, "w: per_s");
    EXPECT_EQ(metrics[0].better, Better::higher);
    ASSERT_THAT(metrics[0].samples, SizeIs(30));
    EXPECT_NEAR(metrics[0].samples[7], 1e9, 1);
    EXPECT_EQ(metrics[2].name, "w: p99");
    EXPECT_EQ(metrics[4].name, "move range=heap: call_ns");
    EXPECT_THAT(metrics[4].samples, SizeIs(20));  // not the one that failed
    EXPECT_EQ(metrics_in(json_of(metrics))[0].samples, metrics[0].samples);
}

TEST_F(Results, OfABench) {
    const JsonObject bench = {{"schema", "gpremap.bench/1"},
                              {"host", JsonObject::object()},
                              {"rows",
                               {{{"bench", "move"},
                                 {"size", 4096},
                                 {"backing", "anon"},
                                 {"mechanism", "window"},
                                 {"unit", "ns"},
                                 {"samples", {1, 2, 3}}}}}};
    const std::vector<MeasuredRun> runs = read(write("b.json", bench));
    EXPECT_EQ(runs.at(0).metrics.at(0).name, "move 4096 anon window: ns");
    EXPECT_EQ(unit_of("move 4096 anon window: ns", Better::lower), MetricUnit::ns);
    EXPECT_EQ(unit_of("break-even 4096 anon window: bytes, ring", Better::lower), MetricUnit::bytes);
    EXPECT_EQ(unit_of("w: per_s", Better::higher), MetricUnit::operations_a_second);
    EXPECT_THAT(runs.at(0).metrics.at(0).samples, SizeIs(3));
}

TEST_F(Results, ThatAreWrong) {
    const std::string whole = run_with(1000).dump();
    EXPECT_THAT(error_of([&] { read(write("cut.json", whole.substr(0, whole.size() / 2))); }),
                HasSubstr("cut.json: expected a whole result"));
    EXPECT_THAT(error_of([&] { read(write("empty.json", std::string())); }),
                HasSubstr("expected a whole result"));
    EXPECT_THAT(error_of([&] {
                    read(write("s.json", JsonObject{{"schema", "gpremap.cases/1"}}));
                }),
                HasSubstr("got \"gpremap.cases/1\""));
    EXPECT_THAT(error_of([&] { read(write("n.json", std::string("[1]"))); }), HasSubstr("got none"));
    EXPECT_THAT(error_of([&] {
                    read(write("k.json", JsonObject{{"schema", "gpremap.run/1"}}));
                }),
                HasSubstr("k.json: expected what schema gpremap.run/1 says"));
    EXPECT_THAT(error_of([&] { read("/nowhere"); }), HasSubstr("/nowhere: cannot be read"));
    EXPECT_THAT(error_of([&] { read("/dev/zero"); }), HasSubstr("/dev/zero: not a regular file"));
    for (const char* key : {"died", "interrupted"}) {
        JsonObject short_one = run_with(1000);
        short_one[key] = true;
        const std::string path = write("short.json", short_one);
        EXPECT_THAT(error_of([&] { read(path); }), HasSubstr("expected a run that came to its end"));
        EXPECT_FALSE(whole_run_in(path));
    }
}

TEST_F(Results, ThatAreNestedTooDeepAreRefused) {
    auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    const std::string deep = "expected JSON that is nested at most 64 deep";
    for (const size_t depth : {64ul, 200'000ul}) {
        const std::string path = write("deep.json", R"({"schema": )" + nested(depth) + "}");
        EXPECT_EQ(error_of([&] { read(path); }), path + ": " + deep);
    }
    const std::string path = write("deep.json", R"({"schema": )" + nested(63) + "}");
    EXPECT_THAT(error_of([&] { read(path); }), HasSubstr("expected a result of schema"));
}

TEST_F(Results, WithNumbersThatNoDoubleHoldsAreRefused) {
    const std::string path = write("large.json", std::string(R"({"schema": 1e999})"));
    EXPECT_EQ(error_of([&] { read(path); }),
              path + ": expected JSON whose numbers are within those of a double");
}

TEST_F(Results, MergeInAnyOrder) {
    JsonObject second = run_with(1000);
    second["began"] = "2027";
    const std::string a = write("a", run_with(1000)), b = write("b", second),
                      c = write("c", run_with(900, "other"));
    const JsonObject all = merged(read_all_runs({a, b, c}));
    EXPECT_EQ(all, merged(read_all_runs({c, b, a})));
    EXPECT_EQ(all["results"][0]["repetition"], 0);
    EXPECT_EQ(all["results"][1]["repetition"], 1);
    EXPECT_EQ(all["results"][2]["repetition"], 0);  // the first on its host
    EXPECT_EQ(all["results"][2]["host"]["kernel"], "other");
    const std::string ab = write("ab", merged(read_all_runs({b, a})));
    EXPECT_EQ(all, merged(read_all_runs({c, ab})));
    EXPECT_THAT(error_of([&] { read_all_runs({ab, a}); }), HasSubstr("expected each run once"));
}

TEST_F(Results, AreCompared) {
    const std::vector<MeasuredRun> base = read(write("a", run_with(1000))),
                                   more = read(write("b", run_with(1200)));
    const ResultComparison slower = compare(base, more, {});
    ASSERT_THAT(slower.metrics, SizeIs(3));
    for (const ComparedMetric& each : slower.metrics)
        EXPECT_EQ(each.judgement.verdict, Verdict::slower) << each.name;
    EXPECT_EQ(slower.too_few, 3u);  // of the percentiles there is one for each run
    EXPECT_TRUE(slower.has_slower());
    EXPECT_FALSE(compare(more, base, {}).has_slower());
    EXPECT_FALSE(compare(base, base, {}).has_slower());
    EXPECT_EQ(json_of(slower, {})["metrics"][0]["verdict"], "slower");
}

TEST_F(Results, OfOtherParametersHaveNothingInCommon) {
    const auto base = read(write("a", run_with(1000))), other = read(write("b", run_with(1000, "h", 2)));
    EXPECT_THAT(error_of([&] { compare(base, other, {}); }), HasSubstr("nothing in common"));
}

TEST_F(Results, TellHostsApartWhereTheyAreTheSame) {
    std::vector<MeasuredRun> base = read(write("a", run_with(1000))),
                             fresh = read(write("b", run_with(1000, "x")));
    EXPECT_TRUE(compare(base, fresh, {}).other_hosts);
    base.push_back(fresh[0]);
    fresh.push_back(base[0]);
    const ResultComparison both = compare(base, fresh, {});
    EXPECT_FALSE(both.other_hosts);
    EXPECT_THAT(both.metrics, SizeIs(6));  // three on each host
}

TEST_F(Results, ManyRunsCountOnceEach) {
    const std::vector<MeasuredRun> runs(enough_runs, read(write("a", run_with(1000)))[0]);
    std::vector<const MeasuredRun*> all;
    for (const MeasuredRun& run : runs) all.push_back(&run);
    EXPECT_THAT(samples_of(all, "move range=heap: call_ns"), SizeIs(enough_runs));
    all.pop_back();
    EXPECT_THAT(samples_of(all, "move range=heap: call_ns"), SizeIs(20 * (enough_runs - 1)));
}

}  // namespace
}  // namespace gpremap
