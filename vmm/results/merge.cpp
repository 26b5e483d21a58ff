#include "vmm/results/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "vmm/base/errors.h"

namespace gpremap {

namespace {

struct FromFile {
    std::string path;
    std::string parameters, host, metrics;
    MeasuredRun run;

    auto key() const { return std::tie(parameters, host, run.began, metrics); }
};

}  // namespace

std::vector<MeasuredRun> read_all_runs(const std::vector<std::string>& paths) {
    constexpr std::string_view schemas[] = {run_schema, merge_schema};
    std::vector<FromFile> all;
    for (const std::string& path : paths)
        for (MeasuredRun& run : read_runs(path, schemas)) {
            const std::string metrics = json_of(run.metrics).dump();
            all.push_back({path, key_of(run.parameters), key_of(run.host), metrics, std::move(run)});
        }
    std::ranges::sort(all, {}, &FromFile::key);
    const auto twice = std::ranges::adjacent_find(all, {}, &FromFile::key);
    if (twice != all.end())
        throw ConfigError(fmt::format("{}: expected each run once, and {} has this one, too",
                                      (twice + 1)->path, twice->path));
    std::vector<MeasuredRun> runs;
    for (FromFile& each : all) runs.push_back(std::move(each.run));
    return runs;
}

JsonObject merged(const std::vector<MeasuredRun>& runs) {
    std::map<std::pair<std::string, std::string>, unsigned> repetitions;
    JsonObject results = JsonObject::array();
    for (const MeasuredRun& run : runs)
        results.push_back({{"parameters", run.parameters},
                           {"repetition", repetitions[{key_of(run.parameters), key_of(run.host)}]++},
                           {"host", run.host},
                           {"began", run.began},
                           {"failed", run.failed},
                           {"metrics", json_of(run.metrics)}});
    return {
        {"schema", merge_schema}, {"tool", {{"version", GPREMAP_VERSION}}}, {"results", std::move(results)}};
}

}  // namespace gpremap
