// What the pages of the backing object are, on the host's own memory, without a VM.
#include "vmm/backing_object.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "vmm/host_calls.h"
#include "vmm/huge_tmpfs.h"
#include "vmm/stage2/reservation.h"

namespace gpremap {
namespace {

constexpr uint64_t page = 4096, huge = 2ull << 20;

class BackingObjectTest : public testing::Test {
  protected:
    void SetUp() override {
        if (HugeTmpfsFile file = open_huge_tmpfs_file(); !file.fd.valid()) GTEST_SKIP() << file.lack;
    }

    // Of the object from `offset` on, at a congruent address, as stage 2 maps it.
    std::byte* map(uint64_t offset, uint64_t size) {
        std::byte* at = reservation_.window() + offset;
        EXPECT_EQ(calls_.map(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, object_.fd(), offset),
                  0);
        EXPECT_EQ(calls_.advise(at, size, MADV_HUGEPAGE), 0);
        return at;
    }

    HostCalls calls_;
    Reservation reservation_{1ull << 30};
    BackingObject object_{BackingObject::Kind::ordinary};
};

TEST_F(BackingObjectTest, IsEmptyAndGivesHugePagesToMappingsThatHoldThem) {
    EXPECT_EQ(object_.pages(), BackingObject::Pages::transparent);
    EXPECT_EQ(object_.allocated(), 0u);
    std::byte* at = map(huge, 2 * huge);
    at[0] = std::byte{1};
    EXPECT_EQ(object_.allocated(), huge);
    at[huge + page] = std::byte{1};
    EXPECT_EQ(object_.allocated(), 2 * huge);
    EXPECT_EQ(calls_.punch_hole(object_.fd(), huge, 2 * huge), 0);
    EXPECT_EQ(object_.allocated(), 0u);
}

// Otherwise a guest could take more of the host's memory than it is charged.
TEST_F(BackingObjectTest, GivesNoMoreThanIsMapped) {
    std::byte* at = map(0, page);
    at[0] = std::byte{1};
    EXPECT_EQ(object_.allocated(), page);
    std::byte* end = map(4 * huge, huge + page) + huge;
    end[0] = std::byte{1};
    EXPECT_EQ(object_.allocated(), 2 * page);
}

TEST_F(BackingObjectTest, IsCopiedToInHugePagesOfWhatIsResident) {
    std::byte* from = reservation_.annex();
    ASSERT_EQ(calls_.map(from, 4 * huge, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0),
              0);
    std::memset(from, 'a', huge);
    std::memset(from + 3 * huge - page, 'b', 2 * page);
    ASSERT_EQ(calls_.copy_to_file(from, object_.fd(), 8 * huge, 4 * huge, HostCalls::Through::huge_mapping),
              0);
    EXPECT_EQ(object_.allocated(), 3 * huge);
    EXPECT_EQ(std::memcmp(map(8 * huge, 4 * huge), from, 4 * huge), 0);
}

// Runs `act` in a child process and returns what it returns.
template <class Act>
int in_child(Act act) {
    pid_t child = fork();
    if (child == 0) _exit(act());
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Whoever is not root has one in a user namespace of their own.
TEST_F(BackingObjectTest, NeedsNoRights) {
    if (geteuid() != 0) GTEST_SKIP() << "all tests of this file have shown that: this is not root";
    enum Ending { had_one, had_none, no_namespaces, still_root };
    int ending = in_child([] {
        constexpr unsigned nobody = 65534;
        if (setresgid(nobody, nobody, nobody) != 0 || setresuid(nobody, nobody, nobody) != 0)
            return still_root;
        prctl(PR_SET_DUMPABLE, 1);  // as a process that has been nobody all along
        if (in_child([] { return unshare(CLONE_NEWUSER); }) != 0) return no_namespaces;
        return open_huge_tmpfs_file().fd.valid() ? had_one : had_none;
    });
    if (ending == no_namespaces) GTEST_SKIP() << "this host allows only root user namespaces";
    EXPECT_EQ(ending, had_one);
}

}  // namespace
}  // namespace gpremap
