// Steps of a Linux guest that the image does not know: RAM that comes and goes, and commands.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "guest/abi/workload.h"
#include "guest/linux/agent/vcpu.h"
#include "guest/runtime/architecture.h"

namespace gpremap {
namespace {

// ---- commands ----

// The end of what comes out of a pipe, as much as there is room for with a zero behind it.
class Tail {
  public:
    Tail(char* text, std::size_t room) : text_(text), room_(room ? room - 1 : 0) {
        if (room) text_[0] = 0;
    }

    // Takes what is there now. false: nothing will come any more.
    bool take_from(int fd) {
        char read_now[4096];
        for (;;) {
            const ssize_t size = read(fd, read_now, sizeof read_now);
            if (size < 0) return errno == EAGAIN || errno == EINTR;
            if (size == 0) return false;
            append(read_now, static_cast<std::size_t>(size));
        }
    }

  private:
    void append(const char* more, std::size_t size) {
        const std::size_t taken = std::min(size, room_), kept = std::min(length_, room_ - taken);
        std::memmove(text_, text_ + (length_ - kept), kept);
        std::memcpy(text_ + kept, more + (size - taken), taken);
        length_ = kept + taken;
        if (room_) text_[length_] = 0;
    }

    char* text_;
    std::size_t room_;
    std::size_t length_ = 0;
};

// A command may use all processors, not only that of the vCPU whose step it is.
class OnAllProcessors {
  public:
    OnAllProcessors() {
        cpu_set_t all;
        sched_getaffinity(0, sizeof before_, &before_);
        std::memset(&all, 0xff, sizeof all);
        sched_setaffinity(0, sizeof all, &all);
    }
    ~OnAllProcessors() {
        if (sched_setaffinity(0, sizeof before_, &before_)) give_up("binding a vCPU's thread again");
    }
    OnAllProcessors(const OnAllProcessors&) = delete;
    OnAllProcessors& operator=(const OnAllProcessors&) = delete;

  private:
    cpu_set_t before_;
};

// Ends a command once the VMM has said so where it tells a workload of this vCPU (guest/abi/linux.h): the shell and what it has
// started are asked to, and after a while killed.
class Ending {
  public:
    Ending(unsigned vcpu, pid_t group)
        : stop_(
              reinterpret_cast<const volatile gpremap_workload*>(GPREMAP_WORKLOADS + vcpu * GPREMAP_AREA_SIZE)
                  ->stop),
          group_(group) {}

    void look() {
        constexpr std::chrono::seconds patience(5);
        if (stop_ == 0) return;
        const Clock::time_point now = Clock::now();
        if (asked_ == Clock::time_point()) {
            asked_ = now;
            kill(-group_, SIGTERM);
        } else if (now - asked_ > patience) {
            kill(-group_, SIGKILL);
        }
    }

  private:
    using Clock = std::chrono::steady_clock;

    const volatile uint64_t& stop_;
    const pid_t group_;
    Clock::time_point asked_;
};

// Starts the shell, as a process group, with its output in a pipe whose other end is left in `output`. 0, or an errno.
int start_shell(const char* text, pid_t& pid, int& output) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return errno;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDERR_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t defaults;
    sigfillset(&defaults);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    const char* arguments[] = {"sh", "-c", text, nullptr};
    const int error =
        posix_spawn(&pid, "/bin/sh", &files, &attributes, const_cast<char* const*>(arguments), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    close(ends[1]);
    if (error)
        close(ends[0]);
    else
        output = ends[0];
    return error;
}

int64_t status_of(int wait_status) {
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

// Ends with the shell, whoever else still holds the pipe. As in a shell, a signal's number counts from 128.
int64_t run_command(unsigned vcpu, char* text, std::size_t room) {
    constexpr int look_after_ms = 20;
    if (!std::memchr(text, 0, room)) return -EINVAL;
    const OnAllProcessors on_all;
    pid_t pid = 0;
    int output = -1, status = 0;
    if (int error = start_shell(text, pid, output)) return -error;
    Tail tail(text, room);
    Ending ending(vcpu, pid);
    bool open = true;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        ending.look();
        pollfd wait = {open ? output : -1, POLLIN, 0};
        poll(&wait, 1, look_after_ms);
        if (open) open = tail.take_from(output);
    }
    tail.take_from(output);
    close(output);
    return status_of(status);
}

// ---- steps ----

bool is_own(abi::Op op) {
    return op == abi::Op::plug || op == abi::Op::unplug || op == abi::Op::command;
}

int64_t perform(const VcpuState& state, const abi::Step& step) {
    if (step.op == abi::Op::plug) return state.device.plug(step.arg[0]);
    if (step.op == abi::Op::unplug) return state.device.unplug(step.arg[0], step.arg[1], step.arg[2]);
    return run_command(state.index, reinterpret_cast<char*>(step.arg[0]), step.arg[1]);
}

}  // namespace

int64_t next_step(VcpuState& state) {
    for (;;) {
        const int64_t result = state.device.call(state.index, abi::Call::next);
        abi::Step& step = state.mailbox.step;
        // There is no ring: see make_call.
        if (result == 0 && step.op == abi::Op::ring_call) step.op = abi::Op::call;
        if (result != 0 || !is_own(step.op)) return result;
        abi::Report& report = state.mailbox.report;
        report = abi::Report{};
        report.tsc_begin = gpremap_timestamp();
        report.result = perform(state, step);
        report.tsc_end = gpremap_timestamp();
        state.device.call(state.index, abi::Call::done);
    }
}

}  // namespace gpremap
