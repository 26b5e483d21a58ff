// Amounts as they are read.
#include "vmm/page/amounts.h"

#include <gtest/gtest.h>

namespace gpremap {
namespace {

TEST(Amounts, HaveThreeDigitsAndAUnit) {
    EXPECT_EQ(shown_ns(0), "0 ns");
    EXPECT_EQ(shown_ns(999), "999 ns");
    EXPECT_EQ(shown_ns(999.9), "1.00 us");
    EXPECT_EQ(shown_ns(1234), "1.23 us");
    EXPECT_EQ(shown_ns(12'340'000), "12.3 ms");
    EXPECT_EQ(shown_ns(5e9), "5.00 s");
    EXPECT_EQ(shown_ns(5e12), "5000 s");
    EXPECT_EQ(shown_rate(6.21e9, "B"), "6.21 GB/s");
    EXPECT_EQ(shown_rate(12, ""), "12.0/s");
    EXPECT_EQ(shown_rate(1.2e6, ""), "1.20 M/s");
    EXPECT_EQ(shown_bytes(268435456), "256 MiB");
    EXPECT_EQ(shown_bytes(-1), "0 B");
    EXPECT_EQ(shown_ratio(0.6604), "0.660 x");
    EXPECT_EQ(shown_count(12345), "12,345");
    EXPECT_EQ(shown_count(2e6), "2.00 M");
}

}  // namespace
}  // namespace gpremap
