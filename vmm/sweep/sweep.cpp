#include "vmm/sweep/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

#include "vmm/base/spread.h"
#include "vmm/results/comparison.h"
#include "vmm/results/reading.h"

namespace gpremap {

namespace {

constexpr unsigned least_for_precision = 3;  // repetitions

class Sweep {
  public:
    Sweep(const SweepPlan& plan, const SweepLimits& limits, const SweepEvents& events, const RunCommand& run)
        : plan_(plan), limits_(limits), events_(events), run_(run), random_(limits.seed) {
        for (size_t i = 0; i < plan.combinations.size(); i++)
            if (!limits.only || *limits.only == i) states_.emplace_back().swept.index = i;
    }

    SweepOutcome go() {
        for (unsigned i = 0; i < limits_.warmup; i++)
            if (!in_turn([&](State& state) { warm_up(state, i); })) break;
        for (unsigned i = 0; i < limits_.repeat; i++)
            if (!in_turn([&](State& state) { repeat(state, i); })) break;
        for (State& state : states_) outcome_.combinations.push_back(state.swept);
        return outcome_;
    }

  private:
    struct State {
        SweptCombination swept;
        std::vector<MeasuredRun> results;
        bool is_precise = false;
    };

    bool is_over() const {
        const auto now = std::chrono::steady_clock::now();
        return events_.is_interrupted() || (limits_.budget && now - begin_ >= *limits_.budget);
    }

    // All that are not precise yet, in shuffled order. False where something has been left out.
    template <typename Work>
    bool in_turn(Work work) {
        std::vector<State*> order;
        for (State& state : states_)
            if (!state.is_precise) order.push_back(&state);
        std::shuffle(order.begin(), order.end(), random_);
        for (State* state : order) {
            if (is_over()) return outcome_.is_complete = false;
            work(*state);
        }
        return true;
    }

    int execute(State& state, const std::string& what, const std::string& result) {
        events_.begins(state.swept.index, what);
        const int status = run_(plan_.command(state.swept.index, result));
        events_.ended(state.swept.index, what, status);
        note(state, status);
        return status;
    }

    void note(State& state, int status) {
        outcome_.status = std::max(outcome_.status, status);
        if (status != 0) state.swept.failed++;
    }

    // Only where something is left to do: else there is nothing to warm up for.
    void warm_up(State& state, unsigned number) {
        for (unsigned i = 0; i < limits_.repeat; i++) {
            if (whole_run_in(plan_.result(state.swept.index, i))) continue;
            execute(state, fmt::format("warm-up {}", number + 1), "");
            return;
        }
    }

    void repeat(State& state, unsigned repetition) {
        const std::string result = plan_.result(state.swept.index, repetition);
        std::optional<MeasuredRun> run = whole_run_in(result);
        if (run) {
            note(state, run->failed == 0 ? 0 : 1);
        } else {
            execute(state, fmt::format("run {}", repetition + 1), result);
            run = whole_run_in(result);
        }
        if (!run) return;
        state.results.push_back(std::move(*run));
        state.swept.runs++;
        measure(state);
    }

    void measure(State& state) {
        SweptCombination& swept = state.swept;
        const std::vector<Metric>& metrics = state.results.front().metrics;
        swept.metric = limits_.metric.empty() && !metrics.empty() ? metrics.front().name : limits_.metric;
        std::vector<const MeasuredRun*> runs;
        for (const MeasuredRun& run : state.results) runs.push_back(&run);
        const std::vector<double> samples = samples_of(runs, swept.metric);
        swept.samples = samples.size();
        if (samples.empty()) return;
        swept.median = spread_of(samples).median;
        swept.interval = median_interval(samples, limits_.seed);
        const double half = (swept.interval.high - swept.interval.low) / 2;
        state.is_precise = limits_.precision && swept.runs >= least_for_precision &&
                           half <= *limits_.precision * swept.median;
    }

    const SweepPlan& plan_;
    const SweepLimits& limits_;
    const SweepEvents& events_;
    const RunCommand& run_;
    std::mt19937_64 random_;
    std::vector<State> states_;
    SweepOutcome outcome_;
    const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

SweepOutcome run_sweep(const SweepPlan& plan, const SweepLimits& limits, const SweepEvents& events,
                       const RunCommand& run) {
    return Sweep(plan, limits, events, run).go();
}

}  // namespace gpremap
