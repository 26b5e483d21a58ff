// The folder of a comparison, and its QEMUs, go however the program ends.
#include "vmm/libvirt/private_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <thread>

namespace gpremap {
namespace {

namespace fs = std::filesystem;

// Sooner than the test's own timeout.
void wait_until(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(40);
    while (!holds() && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(holds());
}

class PrivateFolderTest : public testing::Test {
  protected:
    // A shell by the name of a QEMU, which waits until it is killed, or this test has ended.
    void SetUp() override {
        fs::copy_file("/bin/sh", qemu_, fs::copy_options::overwrite_existing);
        ASSERT_EQ(pipe2(never_.data(), O_CLOEXEC), 0);
    }
    void TearDown() override {
        for (const int end : never_) close(end);
        fs::remove(qemu_);
    }

    pid_t start_qemu(const fs::path& names) {
        const pid_t process = fork();
        if (process != 0) {
            wait_until(
                [&] { return fs::read_symlink("/proc/" + std::to_string(process) + "/exe") == qemu_; });
            return process;
        }
        dup2(never_[0], STDIN_FILENO);
        execl(qemu_.c_str(), qemu_.c_str(), "-c", "read nothing", names.c_str(), nullptr);
        _exit(127);
    }

    // In a process of its own, which goes with this one: nothing that is thrown gets out of it.
    [[noreturn]] static void own_folder(int tell) noexcept {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const PrivateFolder folder;
        fs::create_directory(folder.path() / "inside");
        const std::string path = folder.path();
        if (write(tell, path.data(), path.size()) < 0) _exit(1);
        for (;;) pause();
    }

    // Another process has a folder with a file, tells of it, and waits for its end.
    fs::path start_owner() {
        std::array<int, 2> told;
        EXPECT_EQ(pipe2(told.data(), O_CLOEXEC), 0);
        owner_ = fork();
        if (owner_ == 0) own_folder(told[1]);
        std::array<char, 4096> path;
        const ssize_t size = read(told[0], path.data(), path.size());
        for (const int end : told) close(end);
        return std::string(path.data(), size > 0 ? static_cast<size_t>(size) : 0);
    }

    static void end(pid_t process) {
        kill(process, SIGKILL);
        waitpid(process, nullptr, 0);
    }

    const fs::path qemu_ = fs::path(testing::TempDir()) / ("qemu-of-test-" + std::to_string(getpid()));
    std::array<int, 2> never_ = {-1, -1};
    pid_t owner_ = -1;
};

TEST_F(PrivateFolderTest, GoesWithItsOwner) {
    fs::path path;
    {
        const PrivateFolder folder;
        path = folder.path();
        fs::create_directory(path / "inside");
    }
    EXPECT_FALSE(fs::exists(path));
}

// A process without one more descriptor has no guardian.
TEST_F(PrivateFolderTest, GoesWhereThereCanBeNoGuardian) {
    const fs::path parent = fs::path(testing::TempDir()) / ("folders-of-test-" + std::to_string(getpid()));
    fs::create_directory(parent);
    setenv("TMPDIR", parent.c_str(), 1);
    rlimit usual = {};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
    const rlimit none = {STDERR_FILENO + 1, usual.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    EXPECT_THROW(PrivateFolder(), std::system_error);
    setrlimit(RLIMIT_NOFILE, &usual);
    unsetenv("TMPDIR");
    EXPECT_TRUE(fs::is_empty(parent));
    fs::remove_all(parent);
}

TEST_F(PrivateFolderTest, GoesWithQemuWhereItsOwnerIsKilled) {
    const fs::path path = start_owner();
    ASSERT_TRUE(fs::exists(path / "inside"));
    const pid_t its_own = start_qemu(path / "inside"), anothers = start_qemu("/tmp/another");
    kill(owner_, SIGKILL);
    EXPECT_EQ(waitpid(owner_, nullptr, 0), owner_);
    wait_until([&] { return !fs::exists(path); });
    // The one has ended, and is only to be waited for; the other goes on.
    const bool has_ended = waitpid(its_own, nullptr, WNOHANG) == its_own;
    EXPECT_TRUE(has_ended);
    EXPECT_EQ(waitpid(anothers, nullptr, WNOHANG), 0);
    if (!has_ended) end(its_own);
    end(anothers);
}

}  // namespace
}  // namespace gpremap
