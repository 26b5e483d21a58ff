#include "vmm/sandbox/violation.h"

#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "vmm/base/descriptor.h"
#include "vmm/base/errors.h"
#include "vmm/sandbox/arguments.h"
#include "vmm/sandbox/lists.h"

namespace gpremap {
namespace {

constexpr int internal_error = 5;  // the program's exit status for a defect of its own

// By number: the handler may not ask libseccomp, which allocates.
std::array<std::string, 512> call_names;
thread_local const char* kind_of_thread = "unknown";
thread_local char name_of_thread[16] = "";

// A line that is put together where nothing can be allocated.
class Line {
  public:
    Line& operator<<(std::string_view text) {
        const size_t some = std::min(text.size(), sizeof text_ - size_);
        std::memcpy(text_ + size_, text.data(), some);
        size_ += some;
        return *this;
    }
    Line& operator<<(uint64_t value) {
        char digits[18] = {};
        size_t at = sizeof digits;
        do digits[--at] = "0123456789abcdef"[value % 16];
        while ((value /= 16) != 0);
        return *this << "0x" << std::string_view(digits + at, sizeof digits - at);
    }
    void say() const { (void)!write(STDERR_FILENO, text_, size_); }

  private:
    char text_[1024];
    size_t size_ = 0;
};

std::string_view name_of_call(int number) {
    const auto index = static_cast<size_t>(number);
    if (index >= call_names.size() || call_names[index].empty()) return "unknown";
    return call_names[index];
}

void end_here(int, siginfo_t* info, void* context) {
    Line line;
    line << "\ngpremap: internal error: thread " << name_of_thread << " (" << kind_of_thread
         << ") asked the kernel for " << name_of_call(info->si_syscall) << " (number "
         << static_cast<uint64_t>(static_cast<unsigned>(info->si_syscall)) << "; arguments";
    for (const uint64_t argument : arguments_in(*static_cast<const ucontext_t*>(context)))
        line << " " << argument;
    line << "), which is not on its list: it was not done, and the program has ended. Either this is a "
            "defect of "
            "gpremap, or its guest has taken over that thread. A journal has what was done until then\n";
    line.say();
    _exit(internal_error);
}

}  // namespace

void report_violations() {
    for (size_t number = 0; number < call_names.size(); number++)
        if (char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number))) {
            call_names[number] = name;
            std::free(name);
        }
    struct sigaction action = {};
    action.sa_sigaction = end_here;
    action.sa_flags = SA_SIGINFO;
    sigfillset(&action.sa_mask);
    if (sigaction(SIGSYS, &action, nullptr) != 0) throw_errno("sigaction of SIGSYS");
}

void prepare_to_report(ThreadKind kind, const std::string& name) {
    kind_of_thread = name_of(kind);
    name_of_thread[name.copy(name_of_thread, sizeof name_of_thread - 1)] = 0;
    // Where it is blocked the kernel ends the process without a word.
    sigset_t violation;
    sigemptyset(&violation);
    sigaddset(&violation, SIGSYS);
    pthread_sigmask(SIG_UNBLOCK, &violation, nullptr);
}

}  // namespace gpremap
