// Memory of hugetlb, whose pages are reserved when they are mapped.
#include <gtest/gtest.h>

#include <fstream>

#include "vmm/errors.h"
#include "vmm/kvm.h"
#include "vmm/machine.h"

namespace gpremap {
namespace {

constexpr uint64_t base = 4ull << 30;
constexpr uint64_t huge_page = 2ull << 20;
constexpr uint64_t pages = 4;

uint64_t free_huge_pages() {
    std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    uint64_t count = 0;
    file >> count;
    return count;
}

// More often than there are pages: none may stay reserved.
TEST(HugetlbTest, UntouchedMemoryGivesUpItsReservation) {
    try {
        Kvm kvm;
    } catch (const HostLacks& lack) {
        GTEST_SKIP() << lack.what();
    }
    const uint64_t available = free_huge_pages();
    if (available < pages)
        GTEST_SKIP() << "needs " << pages << " free huge pages of 2 MiB, there are " << available
                     << ": raise /proc/sys/vm/nr_hugepages";
    MachineConfig config;
    config.memory.backing = Backing::hugetlb_2m;
    config.memory.granule = huge_page;
    Machine machine(config);
    for (uint64_t round = 0; round < available / pages + 2; ++round) {
        constexpr uint64_t rw = abi::prot_read | abi::prot_write;
        ASSERT_EQ(machine.remapper().call(0, abi::Call::map, {base, pages * huge_page, rw}),
                  static_cast<int64_t>(base))
            << "round " << round;
        ASSERT_EQ(machine.remapper().call(0, abi::Call::unmap, {base, pages * huge_page}), 0);
    }
    EXPECT_EQ(machine.remapper().resident_bytes(), 0u);
}

}  // namespace
}  // namespace gpremap
