// Huge pages that are reserved for a run go with it, at whatever moment it ends.
#include "vmm/verbs/huge_page_reservation.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <string>
#include <thread>

#include "vmm/base/errors.h"

namespace {

constexpr const char* pool = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
pid_t dies_after_writing = 0;  // to the pool: this process

void note_write(int to) {
    if (getpid() != dies_after_writing) return;
    char name[256];
    const std::string link = "/proc/self/fd/" + std::to_string(to);
    const ssize_t length = readlink(link.c_str(), name, sizeof name);
    if (length > 0 && std::string(name, static_cast<size_t>(length)).ends_with("nr_hugepages"))
        kill(getpid(), SIGKILL);
}

}  // namespace

// In place of the C library's: this program's own come first.
extern "C" ssize_t write(int to, const void* bytes, size_t count) {
    const ssize_t written = syscall(SYS_write, to, bytes, count);
    note_write(to);
    return written;
}
extern "C" ssize_t writev(int to, const iovec* parts, int count) {
    const ssize_t written = syscall(SYS_writev, to, parts, count);
    note_write(to);
    return written;
}

namespace gpremap {
namespace {

constexpr HugePagesWanted two = {.count = 2};

uint64_t pages_in_pool(const char* which = pool) {
    uint64_t pages = 0;
    std::ifstream(which) >> pages;
    return pages;
}

TEST(HugePageReservationTest, IsReadWithOrWithoutASize) {
    struct {
        const char* text;
        uint64_t size, count;
    } const all[] = {
        {"0", 2ull << 20, 0}, {"8", 2ull << 20, 8}, {"2M:8", 2ull << 20, 8}, {"1G:2", 1ull << 30, 2}};
    for (const auto& [text, size, count] : all) {
        const auto wanted = parse_huge_pages(text);
        ASSERT_TRUE(wanted) << text;
        EXPECT_EQ(wanted->size, size) << text;
        EXPECT_EQ(wanted->count, count) << text;
    }
    for (const char* text :
         {"", "-1", "8 ", "2M", "2M:", ":8", "4K:8", "1g:2", "1G:2:3", "1G:-2", "99999999999999999999"})
        EXPECT_FALSE(parse_huge_pages(text)) << text;
}

// False where it has not come back to `wanted` for a minute.
bool pool_comes_to(uint64_t wanted) {
    const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (pages_in_pool() != wanted && std::chrono::steady_clock::now() < late)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return pages_in_pool() == wanted;
}

enum class Killed { while_reserving, with_all_reserved };

void reserve_and_die(Killed killed) {
    if (killed == Killed::while_reserving) dies_after_writing = getpid();
    const HugePageReservation reservation(two);
    kill(getpid(), SIGKILL);
}

TEST(HugePageReservationTest, GoWithWhoeverIsKilled) {
    if (access(pool, W_OK) != 0) GTEST_SKIP() << pool << " cannot be written: needs root";
    for (const Killed killed : {Killed::while_reserving, Killed::with_all_reserved}) {
        const uint64_t before = pages_in_pool();
        const pid_t child = fork();
        if (child == 0) {
            reserve_and_die(killed);
            _exit(1);
        }
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status)) << "the host had no two huge pages to give: " << status;
        EXPECT_EQ(WTERMSIG(status), SIGKILL);
        EXPECT_TRUE(pool_comes_to(before)) << pages_in_pool() << " huge pages, and " << before << " before";
    }
}

TEST(HugePageReservationTest, ComeAndGo) {
    if (access(pool, W_OK) != 0) GTEST_SKIP() << pool << " cannot be written: needs root";
    const uint64_t before = pages_in_pool();
    {
        const HugePageReservation reservation(two);
        EXPECT_EQ(pages_in_pool(), before + 2);
    }
    EXPECT_EQ(pages_in_pool(), before);
}

// Where the host's memory is in pieces, or too small, it says so and keeps nothing.
TEST(HugePageReservationTest, OfOneGibComeAndGoOrAreRefused) {
    constexpr const char* large = "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";
    if (access(large, W_OK) != 0) GTEST_SKIP() << large << " cannot be written: no such pages, or needs root";
    const uint64_t before = pages_in_pool(large), small = pages_in_pool();
    try {
        const HugePageReservation reservation({.size = 1ull << 30, .count = 1});
        EXPECT_EQ(pages_in_pool(large), before + 1);
        EXPECT_EQ(pages_in_pool(), small);
    } catch (const HostLacks& lacks) {
        EXPECT_NE(std::string(lacks.what()).find("1 huge pages of 1 GiB: the host "), std::string::npos)
            << lacks.what();
    }
    EXPECT_EQ(pages_in_pool(large), before);
}

}  // namespace
}  // namespace gpremap
