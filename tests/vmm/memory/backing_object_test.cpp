// What the pages of the backing object are, on the host's own memory, without a VM.
#include "vmm/hostmemory/backing_object.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "vmm/host/huge_tmpfs.h"
#include "vmm/hostmemory/host_calls.h"
#include "vmm/hostmemory/reservation.h"

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
    BackingObject object_{Backing::memfd};
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

// A swap file of the host for as long as this lives.
class Swap {
  public:
    Swap() {
        write_header();
        works_ = swapon(path_.c_str(), 0) == 0;
        lack_ = works_ ? "" : std::string("no swap file: ") + std::strerror(errno);
    }
    ~Swap() {
        if (works_) swapoff(path_.c_str());
        unlink(path_.c_str());
    }
    Swap(const Swap&) = delete;
    Swap& operator=(const Swap&) = delete;

    const std::string& lack() const { return lack_; }  // the reason why there is none, or empty

  private:
    // What mkswap writes: version and last page at 1024, and its signature at the end of the first page.
    void write_header() {
        std::vector<char> file(size, 0);
        const uint32_t version_and_last_page[] = {1, size / page - 1};
        std::memcpy(&file[1024], version_and_last_page, sizeof version_and_last_page);
        std::memcpy(&file[page - 10], "SWAPSPACE2", 10);
        std::ofstream(path_, std::ios::binary).write(file.data(), size);
        chmod(path_.c_str(), 0600);
    }

    static constexpr uint32_t size = 8u << 20;  // bytes
    const std::string path_ = std::filesystem::current_path() / ("swap-of-test-" + std::to_string(getpid()));
    bool works_ = false;
    std::string lack_;
};

bool is_swapped_out(const std::byte* at) {
    uint64_t entry = 0;
    Descriptor pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    auto place = static_cast<off_t>(reinterpret_cast<uint64_t>(at) / page * sizeof entry);
    EXPECT_EQ(pread(pagemap.get(), &entry, sizeof entry, place), static_cast<ssize_t>(sizeof entry));
    return entry >> 62 & 1;
}

// mincore says of such pages that they are not there, once the kernel keeps no copy of them in memory.
TEST_F(BackingObjectTest, IsCopiedToWhatIsSwappedOut) {
    Swap swap;
    if (!swap.lack().empty()) GTEST_SKIP() << swap.lack();
    std::byte* from = reservation_.annex();
    ASSERT_EQ(
        calls_.map(from, 16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
        0);
    for (auto through : {HostCalls::Through::system_call, HostCalls::Through::huge_mapping}) {
        std::memset(from, 'a', 8 * page);
        ASSERT_EQ(madvise(from, 8 * page, MADV_PAGEOUT), 0);
        if (!is_swapped_out(from + 3 * page)) GTEST_SKIP() << "the kernel swaps nothing out when asked to";
        ASSERT_EQ(calls_.copy_to_file(from, object_.fd(), 0, 16 * page, through), 0);
        EXPECT_EQ(object_.allocated(), 8 * page);
        std::byte* copy = map(0, 16 * page);
        EXPECT_TRUE(
            std::all_of(copy, copy + 8 * page, [](std::byte each) { return each == std::byte{'a'}; }));
        EXPECT_EQ(calls_.punch_hole(object_.fd(), 0, 16 * page), 0);
    }
}

// Of a private mapping that nobody has touched even pagemap does not say so.
TEST_F(BackingObjectTest, IsCopiedToWhatItHasItselfInSwap) {
    Swap swap;
    if (!swap.lack().empty()) GTEST_SKIP() << swap.lack();
    std::byte* old = map(0, 8 * page);
    std::memset(old, 'a', 8 * page);
    ASSERT_EQ(madvise(old, 8 * page, MADV_PAGEOUT), 0);
    std::byte* from = reservation_.annex();
    ASSERT_EQ(calls_.map(from, 16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, object_.fd(), 0),
              0);
    from[9 * page] = std::byte{'b'};
    ASSERT_EQ(calls_.copy_to_file(from, object_.fd(), huge, 16 * page, HostCalls::Through::system_call, 0),
              0);
    std::byte* copy = map(huge, 16 * page);
    EXPECT_EQ(std::memcmp(copy, from, 16 * page), 0);
    EXPECT_EQ(copy[0], std::byte{'a'});
    EXPECT_EQ(copy[9 * page], std::byte{'b'});
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
