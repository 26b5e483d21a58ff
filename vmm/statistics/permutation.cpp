#include "vmm/statistics/permutation.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace gpremap {

namespace {

// Of all samples, `a` first; equal ones share the mean of their ranks.
std::vector<double> ranks_of(const std::vector<double>& a, const std::vector<double>& b) {
    std::vector<double> all = a;
    all.insert(all.end(), b.begin(), b.end());
    std::vector<size_t> order(all.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t x, size_t y) { return all[x] < all[y]; });
    std::vector<double> ranks(all.size());
    for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
        while (end < order.size() && all[order[end]] == all[order[begin]]) end++;
        for (size_t i = begin; i < end; i++) ranks[order[i]] = static_cast<double>(begin + end - 1) / 2;
    }
    return ranks;
}

}  // namespace

double permutation_p(const std::vector<double>& a, const std::vector<double>& b, size_t permutations,
                     uint64_t seed) {
    // As many that are as far off end the test: what they are a share of is then known well enough (Besag and
    // Clifford, 1991).
    constexpr size_t enough = 50;
    std::vector<double> ranks = ranks_of(a, b);
    const size_t fewer = std::min(a.size(), b.size());
    if (b.size() < a.size()) std::reverse(ranks.begin(), ranks.end());
    const double mean = static_cast<double>(fewer) * static_cast<double>(ranks.size() - 1) / 2;
    const auto distance = [&] {
        const auto end = ranks.begin() + static_cast<ptrdiff_t>(fewer);
        return std::abs(std::accumulate(ranks.begin(), end, 0.0) - mean);
    };
    const double seen = distance();
    std::mt19937_64 random(seed);
    size_t as_far = 0;
    for (size_t drawn = 1; drawn <= permutations; drawn++) {
        for (size_t i = 0; i < fewer; i++)
            std::swap(ranks[i], ranks[std::uniform_int_distribution<size_t>(i, ranks.size() - 1)(random)]);
        if (distance() >= seen && ++as_far == enough)
            return static_cast<double>(enough) / static_cast<double>(drawn);
    }
    return static_cast<double>(as_far + 1) / static_cast<double>(permutations + 1);
}

double least_p(size_t a, size_t b) {
    double ways = 1;
    for (size_t i = 1; i <= std::min(a, b); i++)
        ways *= static_cast<double>(std::max(a, b) + i) / static_cast<double>(i);
    return std::min(1.0, 2 / ways);
}

std::vector<double> corrected(const std::vector<double>& p) {
    std::vector<size_t> order(p.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t x, size_t y) { return p[x] < p[y]; });
    std::vector<double> result(p.size());
    double least = 0;
    for (size_t i = 0; i < order.size(); i++) {
        least = std::max(least, std::min(1.0, p[order[i]] * static_cast<double>(order.size() - i)));
        result[order[i]] = least;
    }
    return result;
}

}  // namespace gpremap
