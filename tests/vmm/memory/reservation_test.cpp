// Where a VM's window and annex lie: nothing else is there, and nothing comes there of its own accord. Run twice, the
// second time without a limit to the stack, when the kernel puts libraries elsewhere.
#include "vmm/hostmemory/reservation.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace gpremap {
namespace {

constexpr uint64_t gib = uint64_t{1} << 30;
constexpr uint64_t tib = uint64_t{1} << 40;
constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

bool overlaps(const Reservation& reservation, const void* at, uint64_t size) {
    const auto* begin = static_cast<const std::byte*>(at);
    return begin < reservation.annex() + reservation.size() && begin + size > reservation.window();
}

// Whatever is mapped in the annex of a new reservation was there before.
std::vector<std::string> mappings_in_annex(const Reservation& reservation) {
    std::vector<std::string> found;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        uint64_t begin = 0, end = 0;
        if (sscanf(line.c_str(), "%lx-%lx", &begin, &end) != 2) continue;
        const auto annex = reinterpret_cast<uint64_t>(reservation.annex());
        if (begin < annex + reservation.size() && end > annex) found.push_back(line);
    }
    return found;
}

class ReservationTest : public testing::TestWithParam<uint64_t> {};

TEST_P(ReservationTest, NothingElseIsThere) {
    const Reservation reservation(GetParam());
    EXPECT_EQ(mappings_in_annex(reservation), std::vector<std::string>());
}

TEST_P(ReservationTest, NothingComesThereOfItsOwnAccord) {
    const Reservation reservation(GetParam());
    for (unsigned i = 0; i < 512; i++) {  // and stays to the end of this process
        const void* at = mmap(nullptr, gib, PROT_NONE, flags, -1, 0);
        ASSERT_NE(at, MAP_FAILED);
        ASSERT_FALSE(overlaps(reservation, at, gib)) << i;
    }
}

INSTANTIATE_TEST_SUITE_P(Sizes, ReservationTest, testing::Values(64 * gib, 3 * tib, 5 * tib));

// In the annex of the one that would be made otherwise.
TEST(ReservationTest, WhatLiesInAnAnnexStays) {
    std::byte* annex = nullptr;
    {
        const Reservation first(gib);
        annex = first.annex();
    }
    auto* foreign = static_cast<volatile char*>(
        mmap(annex, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    ASSERT_NE(foreign, MAP_FAILED);
    *foreign = 'f';
    {
        const Reservation second(gib);
        EXPECT_FALSE(overlaps(second, annex, 4096));
    }
    EXPECT_EQ(*foreign, 'f');
    munmap(annex, 4096);
}

TEST(ReservationTest, SeveralLieSideBySide) {
    const Reservation first(gib), second(3 * gib), third(gib);
    EXPECT_FALSE(overlaps(first, second.window(), 2 * second.size()));
    EXPECT_FALSE(overlaps(third, second.window(), 2 * second.size()));
    EXPECT_FALSE(overlaps(first, third.window(), 2 * third.size()));
}

}  // namespace
}  // namespace gpremap
