// A sweep: runs what a plan says, in shuffled order, until there is enough of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "vmm/statistics/bootstrap.h"
#include "vmm/sweep/plan.h"

namespace gpremap {

struct SweepLimits {
    unsigned repeat = 1;                   // of each combination, at most
    unsigned warmup = 0;                   // runs of each before, whose results are not kept
    std::optional<double> precision = {};  // half an interval over its median, that is enough
    std::string metric = {};               // that it is of; empty: the first of a result
    std::optional<std::chrono::duration<double>> budget = {};  // after which no run is begun
    std::optional<size_t> only = {};                           // this combination alone
    uint64_t seed = 1;                                         // of the order
};

// What came of a combination.
struct SweptCombination {
    size_t index = 0;
    unsigned runs = 0;    // whose results are there
    unsigned failed = 0;  // of all that were begun: that ended in another status than 0
    std::string metric;   // empty where no result has it
    double median = 0;
    Interval interval;
    size_t samples = 0;
};

struct SweepEvents {
    std::function<void(size_t combination, const std::string& what)> begins;
    std::function<void(size_t combination, const std::string& what, int status)> ended;
    std::function<bool()> is_interrupted;
};

struct SweepOutcome {
    int status = 0;           // the worst of all runs, also of those that were there already
    bool is_complete = true;  // nothing was left undone because of the budget or an interruption
    std::vector<SweptCombination> combinations;
};

// How a command is run, and its exit status.
using RunCommand = std::function<int(const std::vector<std::string>&)>;

// Repetition 0 of all combinations, then 1 of all, each in another order. What has a whole result is not run again.
SweepOutcome run_sweep(const SweepPlan& plan, const SweepLimits& limits, const SweepEvents& events,
                       const RunCommand& run);

}  // namespace gpremap
