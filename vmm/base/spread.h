// What many measurements of one thing come to.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace gpremap {

// In the unit of the samples.
template <typename Sample>
struct Spread {
    Sample median{};  // of an even number, the mean of the two in the middle; of integers, rounded down
    Sample p99{};     // nearest rank: of fewer than 100, the largest
    Sample min{};
    Sample max{};
};

// Of at least one sample, in any order.
template <typename Sample>
Spread<Sample> spread_of(std::vector<Sample> samples) {
    std::sort(samples.begin(), samples.end());
    const std::size_t count = samples.size();
    const Sample lower = samples[(count - 1) / 2], upper = samples[count / 2];
    const std::size_t rank99 = (count * 99 + 99) / 100;
    return {lower + (upper - lower) / 2, samples[rank99 - 1], samples.front(), samples.back()};
}

}  // namespace gpremap
