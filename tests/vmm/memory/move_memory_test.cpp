// How often mremap flushes TLBs, against the kernel's walk over page tables, step by step (mm/mremap.c).
#include "vmm/hostmemory/move_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

namespace gpremap {
namespace {

constexpr uint64_t kib4 = 4096, mib2 = 2ull << 20, gib = 1ull << 30;

// To the end of the table of `unit` bytes that `at` is in.
uint64_t left_of(uint64_t at, uint64_t unit) {
    return unit - at % unit;
}

uint64_t walked(uint64_t from, uint64_t to, uint64_t size) {
    uint64_t flushes = 0;
    for (uint64_t done = 0; done < size; ++flushes) {
        const uint64_t here = from + done, there = to + done, left = size - done;
        if (here % gib == 0 && there % gib == 0 && left >= gib)
            done += gib;
        else
            done += std::min({left, left_of(here, mib2), left_of(there, mib2)});
    }
    return flushes;
}

TEST(FlushesOfMremap, AreThoseOfItsSteps) {
    EXPECT_EQ(flushes_of_mremap(0, gib, 0), 0u);
    EXPECT_EQ(flushes_of_mremap(0, gib, kib4), 1u);
    EXPECT_EQ(flushes_of_mremap(0, 8 * gib, 256ull << 20), 128u);
    EXPECT_EQ(flushes_of_mremap(0, 8 * gib, 4 * gib), 4u);
    EXPECT_EQ(flushes_of_mremap(0, 8 * gib + mib2, gib), 512u);
    EXPECT_EQ(flushes_of_mremap(0, 8 * gib + kib4, mib2), 2u);
}

TEST(FlushesOfMremap, OfRandomMoves) {
    const uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    auto below = [&](uint64_t end) { return std::uniform_int_distribution<uint64_t>(0, end - 1)(random); };
    for (int i = 0; i < 20'000 && !testing::Test::HasFailure(); ++i) {
        const uint64_t unit = std::array{kib4, mib2, gib}[below(3)];
        const uint64_t from = below(4 * gib / unit) * unit + below(2) * kib4;
        const uint64_t to = 64 * gib + (below(2) ? from : below(4 * gib / unit) * unit);
        const uint64_t size = (1 + below(3 * gib / unit)) * unit + below(2) * kib4;
        EXPECT_EQ(flushes_of_mremap(from, to, size), walked(from, to, size))
            << from << " " << to << " " << size;
    }
}

}  // namespace
}  // namespace gpremap
