#include "vmm/statistics/bootstrap.h"

#include <algorithm>
#include <cstddef>
#include <random>

namespace gpremap {

namespace {

constexpr unsigned resamples = 2000;

// Medians of resamples of sorted samples. The k-th smallest of n draws with replacement is the sample at the
// n-th part that the k-th smallest of n uniform numbers falls into, and that is Beta(k, n - k + 1): so a resample
// costs no n draws.
class MedianOfResamples {
  public:
    explicit MedianOfResamples(std::vector<double> samples) : sorted_(std::move(samples)) {
        std::sort(sorted_.begin(), sorted_.end());
    }

    double draw(std::mt19937_64& random) const {
        const double n = static_cast<double>(sorted_.size());
        const double k = static_cast<double>((sorted_.size() + 1) / 2);
        const double lower = beta(k, n - k + 1, random);
        if (sorted_.size() % 2 == 1) return sample_at(lower);
        // The next smallest lies above it as the smallest of those that are left.
        const double upper = lower + (1 - lower) * beta(1, n - k, random);
        return (sample_at(lower) + sample_at(upper)) / 2;
    }

  private:
    static double beta(double a, double b, std::mt19937_64& random) {
        const double x = std::gamma_distribution(a)(random), y = std::gamma_distribution(b)(random);
        return x / (x + y);
    }

    double sample_at(double part) const {
        const size_t index = static_cast<size_t>(part * static_cast<double>(sorted_.size()));
        return sorted_[std::min(index, sorted_.size() - 1)];
    }

    std::vector<double> sorted_;
};

template <typename Draw>
Interval percentiles_of(Draw draw) {
    std::vector<double> drawn(resamples);
    for (double& each : drawn) each = draw();
    std::sort(drawn.begin(), drawn.end());
    constexpr size_t cut = resamples * 25 / 1000;
    return {drawn[cut], drawn[resamples - 1 - cut]};
}

}  // namespace

Interval median_interval(std::vector<double> samples, uint64_t seed) {
    std::mt19937_64 random(seed);
    const MedianOfResamples median(std::move(samples));
    return percentiles_of([&] { return median.draw(random); });
}

Interval ratio_interval(std::vector<double> base, std::vector<double> fresh, uint64_t seed) {
    std::mt19937_64 random(seed);
    const MedianOfResamples below(std::move(base)), above(std::move(fresh));
    return percentiles_of([&] {
        const double divisor = below.draw(random);
        return above.draw(random) / divisor;
    });
}

}  // namespace gpremap
