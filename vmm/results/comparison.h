// Two results, or merged ones, side by side: schema gpremap.diff/1.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/results/reading.h"
#include "vmm/statistics/verdict.h"

namespace gpremap {

// Where as many runs are there, a run is a sample, by its median: what one process, its memory and its time of the
// day have in common does not count as often as it makes calls.
inline constexpr size_t enough_runs = 10;

// The samples of metric `name` in `runs`.
std::vector<double> samples_of(const std::vector<const MeasuredRun*>& runs, std::string_view name);

struct ComparedMetric {
    std::string name;
    JsonObject parameters;
    JsonObject host;  // null where the hosts of the two differ, and are not told apart
    SamplePair samples;
    Judgement judgement;
};

struct ResultComparison {
    std::vector<ComparedMetric> metrics;  // in the order of the base
    size_t too_few = 0;                   // metrics whose samples are too few for any verdict
    size_t only_in_one = 0;
    bool other_hosts = false;  // the two are of different ones

    bool has_slower() const;
};

// Metrics of the same parameters, and the same host, are compared. Throws ConfigError where there are none.
ResultComparison compare(const std::vector<MeasuredRun>& base, const std::vector<MeasuredRun>& fresh,
                         const JudgementOptions& options);

JsonObject json_of(const ResultComparison& comparison, const JudgementOptions& options);

}  // namespace gpremap
