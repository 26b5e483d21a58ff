#include "vmm/statistics/verdict.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "vmm/base/spread.h"
#include "vmm/statistics/permutation.h"

namespace gpremap {

namespace {

// So many that a corrected p can be well below alpha.
size_t permutations_for(size_t tests, double alpha) {
    constexpr double least = 9'999, most = 10'000'000, times = 20;
    return static_cast<size_t>(
        std::clamp(std::ceil(times * static_cast<double>(tests) / alpha), least, most));
}

Judgement measured(const SamplePair& pair, uint64_t seed) {
    Judgement result;
    result.base = spread_of(pair.base).median;
    result.fresh = spread_of(pair.fresh).median;
    // Of nothing there is no ratio; the same nothing is no difference.
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (*std::ranges::min_element(pair.base) > 0) {
        result.ratio = result.fresh / result.base;
        result.interval = ratio_interval(pair.base, pair.fresh, seed);
    } else {
        const bool is_same = result.fresh == 0 && *std::ranges::max_element(pair.base) == 0 &&
                             *std::ranges::max_element(pair.fresh) == 0;
        result.ratio = is_same ? 1 : infinity;
        result.interval = is_same ? Interval{1, 1} : Interval{0, infinity};
    }
    return result;
}

Verdict verdict_of(const Judgement& judgement, Better better, const JudgementOptions& options) {
    const double more = 1 + options.effect, less = 1 / more;
    const bool is_within = judgement.interval.low > less && judgement.interval.high < more;
    if (judgement.p >= options.alpha || !std::isfinite(judgement.ratio))
        return is_within ? Verdict::no_difference : Verdict::too_noisy;
    if (judgement.ratio > less && judgement.ratio < more) return Verdict::no_difference;
    return (judgement.ratio > 1) == (better == Better::lower) ? Verdict::slower : Verdict::faster;
}

}  // namespace

std::string_view name_of(Better better) {
    return better == Better::lower ? "lower" : "higher";
}

std::string_view name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::faster:
            return "faster";
        case Verdict::slower:
            return "slower";
        case Verdict::no_difference:
            return "no difference";
        case Verdict::too_noisy:
            break;
    }
    return "too noisy to say";
}

std::vector<Judgement> judge(std::span<const SamplePair> pairs, const JudgementOptions& options) {
    std::vector<Judgement> judgements;
    std::vector<double> p;
    const size_t permutations = permutations_for(pairs.size(), options.alpha);
    for (const SamplePair& pair : pairs) {
        const uint64_t seed = options.seed + judgements.size();
        judgements.push_back(measured(pair, seed));
        p.push_back(permutation_p(pair.base, pair.fresh, permutations, seed));
    }
    const std::vector<double> all = corrected(p);
    for (size_t i = 0; i < judgements.size(); i++) {
        judgements[i].p = all[i];
        judgements[i].verdict = verdict_of(judgements[i], pairs[i].better, options);
    }
    return judgements;
}

}  // namespace gpremap
