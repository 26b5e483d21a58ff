#include "vmm/results/comparison.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "vmm/base/errors.h"
#include "vmm/base/spread.h"
#include "vmm/statistics/permutation.h"

namespace gpremap {

namespace {

std::set<std::string> hosts_of(const std::vector<MeasuredRun>& runs) {
    std::set<std::string> hosts;
    for (const MeasuredRun& run : runs) hosts.insert(key_of(run.host));
    return hosts;
}

// Runs that are repetitions of each other.
using Group = std::vector<const MeasuredRun*>;
using Groups = std::map<std::pair<std::string, std::string>, Group>;

Groups groups_of(const std::vector<MeasuredRun>& runs, bool by_host) {
    Groups groups;
    for (const MeasuredRun& run : runs)
        groups[{key_of(run.parameters), by_host ? key_of(run.host) : ""}].push_back(&run);
    return groups;
}

const Metric* find_metric(const MeasuredRun& run, std::string_view name) {
    const auto found = std::ranges::find(run.metrics, name, &Metric::name);
    return found == run.metrics.end() ? nullptr : &*found;
}

std::vector<std::pair<std::string, Better>> metrics_of(const Group& group) {
    std::vector<std::pair<std::string, Better>> names;
    std::set<std::string> seen;
    for (const MeasuredRun* run : group)
        for (const Metric& metric : run->metrics)
            if (seen.insert(metric.name).second) names.push_back({metric.name, metric.better});
    return names;
}

// Both alike: all calls, or a median of each run.
std::vector<double> samples_of(const Group& group, std::string_view name, bool by_run) {
    std::vector<double> samples;
    for (const MeasuredRun* run : group) {
        const Metric* metric = find_metric(*run, name);
        if (!metric || metric->samples.empty()) continue;
        if (by_run)
            samples.push_back(spread_of(metric->samples).median);
        else
            samples.insert(samples.end(), metric->samples.begin(), metric->samples.end());
    }
    return samples;
}

void add_pairs(const Group& base, const Group& fresh, const JudgementOptions& options,
               ResultComparison& comparison) {
    const bool by_run = std::min(base.size(), fresh.size()) >= enough_runs;
    for (const auto& [name, better] : metrics_of(base)) {
        SamplePair pair{better, samples_of(base, name, by_run), samples_of(fresh, name, by_run)};
        if (pair.fresh.empty() || pair.base.empty())
            comparison.only_in_one++;
        else if (least_p(pair.base.size(), pair.fresh.size()) >= options.alpha)
            comparison.too_few++;
        else
            comparison.metrics.push_back(
                {name, base.front()->parameters, base.front()->host, std::move(pair), {}});
    }
    for (const auto& [name, better] : metrics_of(fresh))
        if (samples_of(base, name, by_run).empty()) comparison.only_in_one++;
}

}  // namespace

std::vector<double> samples_of(const std::vector<const MeasuredRun*>& runs, std::string_view name) {
    return samples_of(runs, name, runs.size() >= enough_runs);
}

bool ResultComparison::has_slower() const {
    return std::ranges::any_of(
        metrics, [](const ComparedMetric& each) { return each.judgement.verdict == Verdict::slower; });
}

ResultComparison compare(const std::vector<MeasuredRun>& base, const std::vector<MeasuredRun>& fresh,
                         const JudgementOptions& options) {
    ResultComparison comparison;
    comparison.other_hosts = hosts_of(base) != hosts_of(fresh);
    const Groups of_base = groups_of(base, !comparison.other_hosts);
    const Groups of_fresh = groups_of(fresh, !comparison.other_hosts);
    for (const auto& [key, group] : of_base)
        if (const auto found = of_fresh.find(key); found != of_fresh.end())
            add_pairs(group, found->second, options, comparison);
    if (comparison.metrics.empty() && comparison.too_few == 0)
        throw ConfigError(
            "the two results have nothing in common: expected a metric of the same parameters in both");
    std::vector<SamplePair> pairs;
    for (ComparedMetric& metric : comparison.metrics) {
        if (comparison.other_hosts) metric.host = nullptr;
        pairs.push_back(metric.samples);
    }
    const std::vector<Judgement> judgements = judge(pairs, options);
    for (size_t i = 0; i < judgements.size(); i++) comparison.metrics[i].judgement = judgements[i];
    return comparison;
}

JsonObject json_of(const ResultComparison& comparison, const JudgementOptions& options) {
    JsonObject metrics = JsonObject::array();
    for (const ComparedMetric& each : comparison.metrics) {
        const Judgement& judgement = each.judgement;
        metrics.push_back({{"name", each.name},
                           {"parameters", each.parameters},
                           {"host", each.host},
                           {"better", name_of(each.samples.better)},
                           {"base", {{"n", each.samples.base.size()}, {"median", judgement.base}}},
                           {"new", {{"n", each.samples.fresh.size()}, {"median", judgement.fresh}}},
                           {"ratio", judgement.ratio},
                           {"interval", {judgement.interval.low, judgement.interval.high}},
                           {"p", judgement.p},
                           {"verdict", name_of(judgement.verdict)}});
    }
    return {{"schema", "gpremap.diff/1"},    {"tool", {{"version", GPREMAP_VERSION}}},
            {"effect", options.effect},      {"alpha", options.alpha},
            {"seed", options.seed},          {"metrics", std::move(metrics)},
            {"too_few", comparison.too_few}, {"only_in_one", comparison.only_in_one}};
}

}  // namespace gpremap
