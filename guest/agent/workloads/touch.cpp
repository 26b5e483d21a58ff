// Loads and stores, each in another page: in order, at random, or most of them in few pages.
#include "guest/agent/workloads/kinds.h"
#include "guest/agent/workloads/loop.h"

namespace gpremap {
namespace {

constexpr uint64_t one = 1ull << 32;  // of numbers with 32 bits behind the point

// log2 and 2^x by parabolas, right to half a percent.
uint64_t log2_of(uint64_t x) {
    const auto whole = 63 - static_cast<uint64_t>(__builtin_clzll(x));
    const uint64_t fraction = (x << (63 - whole) << 1) >> 32;
    return (whole << 32) + fraction + (fraction * (one - fraction) >> 32) * 89 / 256;
}

uint64_t power_of_2(uint64_t x) {
    const uint64_t fraction = x & (one - 1);
    const uint64_t mantissa = one + fraction - (fraction * (one - fraction) >> 32) * 88 / 256;
    return static_cast<uint64_t>(static_cast<unsigned __int128>(mantissa) << (x >> 32) >> 32);
}

// Zipf's law with exponent 1: the k-th page comes with a share of 1 / k, so that ranks are spread evenly by their
// logarithm. Pages of neighbouring ranks are not neighbours.
uint64_t zipf(uint64_t random, uint64_t pages) {
    const auto exponent =
        static_cast<uint64_t>(static_cast<unsigned __int128>(random) * log2_of(pages) >> 64);
    const uint64_t rank = power_of_2(exponent) - 1;
    return rank * 0x9e3779b97f4a7c15ull % pages;
}

// `cursor` says which page the operation is about, `round` whether it writes.
struct Touch {
    uint64_t least = workload_page;

    void prepare(gpremap_workload& workload) {
        const uint64_t random = next_random(workload);
        workload.cursor = workload.access == GPREMAP_SEQUENTIAL ? workload.cursor + 1 : random;
        workload.round = (random & 0xffff) < workload.writes;
    }

    bool operate(gpremap_area& area, gpremap_place place) {
        const gpremap_workload& workload = area.workload;
        const uint64_t pages = place.size / workload_page;
        const uint64_t page =
            workload.access == GPREMAP_ZIPF ? zipf(workload.cursor, pages) : workload.cursor % pages;
        auto* word = reinterpret_cast<volatile uint64_t*>(place.at + page * workload_page);
        if (workload.round)
            gpremap_touch_for_write(word);
        else
            (void)*word;
        gpremap_operation_ends(&area, sizeof *word);
        return true;
    }
};

}  // namespace

void touch(gpremap_area& area) {
    run_operations(area, Touch{});
}

}  // namespace gpremap
