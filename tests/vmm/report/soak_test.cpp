// A run that goes on for a time: when it ends, and what has grown meanwhile.
#include "vmm/report/soak.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <vector>

#include "vmm/base/descriptor.h"

namespace gpremap {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t mib = 1ull << 20;

Soak::Held held(uint64_t memory, uint64_t descriptors, uint64_t mappings, uint64_t slots,
                uint64_t huge_pages) {
    return {{memory, descriptors, mappings, huge_pages}, slots};
}

TEST(Soak, EndsWithTheRoundInWhichItsTimeIsOver) {
    Soak soak(std::chrono::seconds(0));
    EXPECT_FALSE(soak.add_round(3, true, held(1, 1, 1, 1, 1)));
    EXPECT_EQ(soak.json().at("rounds"), 1);
    EXPECT_EQ(soak.json().at("steps"), 3);
}

TEST(Soak, EndsWithARoundThatFails) {
    Soak soak(std::chrono::hours(1));
    EXPECT_TRUE(soak.is_first_round());
    EXPECT_TRUE(soak.add_round(3, true, {}));
    EXPECT_FALSE(soak.is_first_round());
    EXPECT_FALSE(soak.add_round(3, false, {}));
    EXPECT_EQ(soak.json().at("steps"), 6);
}

TEST(Soak, SaysWhatHasGrown) {
    Soak soak(std::chrono::hours(1));
    soak.add_round(1, true, held(100 * mib, 12, 80, 2, 0));
    soak.add_round(1, true, held(500 * mib, 90, 800, 20, 10));  // meanwhile it may have been more
    soak.add_round(1, true, held(116 * mib, 12, 96, 2, 0));
    EXPECT_THAT(soak.grown(), IsEmpty());
    soak.add_round(1, true, held(116 * mib + 1, 13, 97, 3, 1));
    EXPECT_THAT(soak.grown(),
                ElementsAre("memory: 104857600, then 121634817", "descriptors: 12, then 13",
                            "mappings: 80, then 97", "slots: 2, then 3", "huge pages: 0, then 1"));
    EXPECT_THAT(soak.text(), testing::HasSubstr("4 rounds, 4 steps in "));
}

TEST(Footprint, IsThatOfThisProcess) {
    const Footprint before = read_footprint();
    const Descriptor file(memfd_create("one more", MFD_CLOEXEC));
    std::vector<void*> apart;  // which neighbours are not, so that they stay mappings
    for (int i = 0; i < 10; i++)
        apart.push_back(
            mmap(nullptr, 4096, i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::vector<char> much(64 * mib, 'x');
    const Footprint now = read_footprint();
    EXPECT_EQ(now.descriptors, before.descriptors + 1);
    EXPECT_GE(now.mappings, before.mappings + 9);
    EXPECT_GE(now.memory, before.memory + 64 * mib);
    EXPECT_LE(now.memory, before.memory + 80 * mib);
    EXPECT_EQ(much.back(), 'x');
    for (void* each : apart) munmap(each, 4096);
}

}  // namespace
}  // namespace gpremap
