#include "vmm/sweep/program_run.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "vmm/base/descriptor.h"

namespace gpremap {

namespace {

// Between fork and exec of a process with threads: system calls and nothing else.
[[noreturn]] void become(char* const* words, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(128 + SIGKILL);  // it has gone before it was asked for
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) dup2(nowhere, STDOUT_FILENO);
    execv(words[0], words);
    constexpr int not_found = 127;  // as shells say it
    _exit(not_found);
}

}  // namespace

int run_program(const std::vector<std::string>& command) {
    std::vector<char*> words;
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0) throw_errno("starting " + command.front());
    if (child == 0) become(words.data(), parent);
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) throw_errno("waiting for " + command.front());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace gpremap
