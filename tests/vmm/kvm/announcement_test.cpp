// How often the kernel tells KVM that the host memory of a range is about to change (MMU notifiers). With
// shadow paging each time costs a walk over all pages of the range, whatever size they are mapped with.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "tests/vmm/kvm/kernel_events.h"
#include "tests/vmm/kvm_test.h"

namespace gpremap {
namespace {

using abi::Call;

class AnnouncementTest : public KvmTestWith<Backing> {
  protected:
    std::string lack() const override {
        if (std::string lack = lack_of(GetParam(), 600); !lack.empty()) return lack;
        if (announcements_.works()) return "";
        return "KVM's trace points cannot be used: run as root, with tracefs mounted at /sys/kernel/tracing";
    }

    // Of a call that moves `size` bytes, all of which the guest has touched, to where memory has been before.
    int of_move(uint64_t size) {
        boot(config_of({Mechanism::window, GetParam()}, 1, 32 * gib));
        constexpr uint64_t there = base + 16 * gib;
        perform(call(Call::map, base, size, rw));
        perform(step(abi::Op::touch, base, size, 1, page));
        perform(call(Call::move, base, there, size, 0));
        perform(step(abi::Op::touch, there, size, 1, page));
        announcements_.clear();
        EXPECT_EQ(perform(call(Call::move, there, base, size, 0)).report.result, static_cast<int64_t>(base));
        return static_cast<int>(announcements_.count([&](const std::string& line) {
            uint64_t begin = 0, end = 0;
            const size_t at = line.find("unmap range: ");
            return at != std::string::npos &&
                   sscanf(&line[at], "unmap range: %lx -- %lx", &begin, &end) == 2 && end - begin == size;
        }));
    }

    KernelEvents announcements_{"kvm/kvm_unmap_hva_range"};
};

// Memory of hugetlb is moved in smaller pieces.
class GibibyteAnnouncementTest : public AnnouncementTest {};

// The target goes, the source moves. That the source is closed then is not announced: nothing is left there.
TEST_P(GibibyteAnnouncementTest, AWholeGibibyteIsAnnouncedTwice) {
    EXPECT_EQ(of_move(gib), 2);
}

// Of less than 1 GiB there is still a page table where it was; Linux before 6.12 looks into that, too.
TEST_P(AnnouncementTest, LessIsAnnouncedThriceAtMost) {
    int times = of_move(256 * mib);
    EXPECT_GE(times, 2);
    EXPECT_LE(times, 3);
}

INSTANTIATE_TEST_SUITE_P(Each, AnnouncementTest, testing::ValuesIn(backings), name_of_backing);
INSTANTIATE_TEST_SUITE_P(Each, GibibyteAnnouncementTest, testing::Values(Backing::anon, Backing::memfd),
                         name_of_backing);

}  // namespace
}  // namespace gpremap
