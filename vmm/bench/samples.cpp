#include "vmm/bench/samples.h"

#include <algorithm>

namespace gpremap {

Spread spread_of(std::vector<uint64_t> samples) {
    std::sort(samples.begin(), samples.end());
    size_t rank99 = (samples.size() * 99 + 99) / 100;
    return {samples[samples.size() / 2], samples[rank99 - 1], samples.front(), samples.back()};
}

}  // namespace gpremap
