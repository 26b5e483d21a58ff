// What each kind of thread may ask of the kernel, and what becomes of what it may not: each in a process of its own,
// since there is no way back.
#include "vmm/sandbox/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <functional>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "vmm/sandbox/lists.h"

namespace gpremap {
namespace {

constexpr int internal_error = 5;

// Does not return: exits with 0 when `work` has been done by a thread of that kind.
[[noreturn]] void exit_after(ThreadKind kind, const std::function<void()>& work) {
    confine_threads();
    std::thread([&] {
        begin_thread(kind, "under test");
        work();
    }).join();
    _exit(0);
}

std::string text_of(const testing::TestParamInfo<ThreadKind>& info) {
    std::string name = name_of(info.param);
    for (char& c : name)
        if (c == '-') c = '_';
    return name;
}

class Sandbox : public testing::TestWithParam<ThreadKind> {
  protected:
    void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

    static bool is(std::initializer_list<ThreadKind> kinds) {
        for (const ThreadKind kind : kinds)
            if (kind == GetParam()) return true;
        return false;
    }
    // Of a call that is on no list.
    static void refuses(const std::string& call, const std::function<void()>& work) {
        const std::string said =
            std::string("thread under test \\(") + name_of(GetParam()) + "\\) asked the kernel for " + call;
        EXPECT_EXIT(exit_after(GetParam(), work), testing::ExitedWithCode(internal_error), said) << call;
    }
    static void allows(const std::function<void()>& work) {
        EXPECT_EXIT(exit_after(GetParam(), work), testing::ExitedWithCode(0), "");
    }
};

INSTANTIATE_TEST_SUITE_P(OfEachKind, Sandbox, testing::ValuesIn(all_thread_kinds), text_of);

TEST_P(Sandbox, StartsNoProgram) {
    refuses("execve", [] { execl("/bin/true", "true", nullptr); });
    refuses("execveat", [] { syscall(SYS_execveat, AT_FDCWD, "/bin/true", nullptr, nullptr, 0); });
}

TEST_P(Sandbox, MakesNoMemoryCode) {
    refuses("mmap",
            [] { (void)!mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); });
    refuses("mprotect", [] {
        void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    });
    refuses("pkey_mprotect", [] { syscall(SYS_pkey_mprotect, nullptr, 4096, PROT_EXEC, -1); });
}

TEST_P(Sandbox, TalksToNobody) {
    refuses("socket", [] { (void)!socket(AF_INET, SOCK_STREAM, 0); });
    refuses("process_vm_readv", [] { syscall(SYS_process_vm_readv, 1, nullptr, 0, nullptr, 0, 0); });
    refuses("tgkill", [] { syscall(SYS_tgkill, 1, 1, SIGTERM); });
}

TEST_P(Sandbox, GetsNoFurtherRights) {
    refuses("bpf", [] { syscall(SYS_bpf, 0, nullptr, 0); });
    refuses("io_uring_setup", [] { syscall(SYS_io_uring_setup, 1, nullptr); });
    refuses("userfaultfd", [] { syscall(SYS_userfaultfd, 0); });
    refuses("setuid", [] { (void)!setuid(0); });
    refuses("setns", [] { setns(0, 0); });
    refuses("ioctl", [] { ioctl(0, TIOCSTI, "x"); });
}

TEST_P(Sandbox, WritesNoFileThatItDoesNotHave) {
    if (is({ThreadKind::main, ThreadKind::maker, ThreadKind::control_calls}))
        GTEST_SKIP() << "it writes results";
    refuses("openat", [] { (void)!open("/tmp/gpremap-test", O_WRONLY | O_CREAT, 0600); });
    refuses("openat", [] { (void)!open("/dev/kvm", O_RDWR); });
    refuses("rename", [] { (void)!rename("/tmp/gpremap-test", "/tmp/gpremap-test2"); });
}

TEST_P(Sandbox, ReadsNoFileThatItDoesNotHave) {
    if (!is({ThreadKind::vcpu, ThreadKind::rings, ThreadKind::pool, ThreadKind::copier, ThreadKind::sampler,
             ThreadKind::deadline, ThreadKind::keyboard, ThreadKind::signals, ThreadKind::control}))
        GTEST_SKIP() << "it reads what the kernel says of this process, or the journal";
    refuses("openat", [] { (void)!open("/proc/self/maps", O_RDONLY); });
}

TEST_P(Sandbox, MakesNoProcess) {
    // A child that is to make a tmpfs in a user namespace.
    if (is({ThreadKind::maker})) GTEST_SKIP() << "it does";
    refuses("clone", [] { syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0); });
}

TEST_P(Sandbox, IsNotTurnedOff) {
    refuses("rt_sigaction", [] { signal(SIGSYS, SIG_IGN); });
}

TEST_P(Sandbox, SaysWhatItWas) {
    EXPECT_EXIT(exit_after(GetParam(), [] { syscall(SYS_ptrace, PTRACE_TRACEME, 0x12, 0x34, 0x56); }),
                testing::ExitedWithCode(internal_error),
                "ptrace \\(number 0x65; arguments 0x0 0x12 0x34 0x56 ");
}

TEST_P(Sandbox, LeavesWhatEveryThreadDoes) {
    allows([] {
        std::vector<std::string> much;
        for (size_t size = 1; size < 64ull << 20; size *= 2) much.emplace_back(size, 'x');
        try {
            throw std::runtime_error("caught");
        } catch (const std::exception& error) {
            std::cerr << error.what() << std::endl;
        }
        std::mutex mutex;
        std::lock_guard lock(mutex);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        pthread_kill(pthread_self(), 0);
        void* page = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        page = mremap(page, 8192, 4096, MREMAP_MAYMOVE);
        mprotect(page, 4096, PROT_NONE);
        munmap(page, 4096);
    });
}

TEST(SandboxOff, ConfinesNobody) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(std::thread([] {
                    begin_thread(ThreadKind::vcpu, "vcpu0");
                    confine_this_thread(ThreadKind::main);
                    _exit(close(open("/dev/null", O_WRONLY)) == 0 ? 0 : 1);
                }).join(),
                testing::ExitedWithCode(0), "");
}

// What is made by a thread that is confined can do no more than that one, and is confined as well.
TEST(SandboxOfThreads, MadeByAConfinedOne) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(exit_after(ThreadKind::track,
                           [] {
                               std::thread([] {
                                   begin_thread(ThreadKind::deadline, "deadline");
                                   (void)!open("/proc/self/maps", O_RDONLY);
                               }).join();
                           }),
                testing::ExitedWithCode(internal_error), "thread deadline \\(deadline\\) .* openat");
    EXPECT_EXIT(exit_after(ThreadKind::main,
                           [] { std::thread([] { begin_thread(ThreadKind::track, "a"); }).join(); }),
                testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace gpremap
