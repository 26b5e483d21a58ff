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

uint64_t pages_in_pool() {
    uint64_t pages = 0;
    std::ifstream(pool) >> pages;
    return pages;
}

// False where it has not come back to `wanted` for ten seconds.
bool pool_comes_to(uint64_t wanted) {
    const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (pages_in_pool() != wanted && std::chrono::steady_clock::now() < late)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return pages_in_pool() == wanted;
}

enum class Killed { while_reserving, with_all_reserved };

void reserve_and_die(Killed killed) {
    if (killed == Killed::while_reserving) dies_after_writing = getpid();
    const HugePageReservation reservation(2);
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
        const HugePageReservation reservation(2);
        EXPECT_EQ(pages_in_pool(), before + 2);
    }
    EXPECT_EQ(pages_in_pool(), before);
}

}  // namespace
}  // namespace gpremap
