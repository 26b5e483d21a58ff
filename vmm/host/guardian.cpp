#include "vmm/host/guardian.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "vmm/base/errors.h"

namespace gpremap {

namespace {

// False at the end of what comes.
bool read_byte(int from) {
    char nothing;
    ssize_t got;
    while ((got = read(from, &nothing, 1)) < 0 && errno == EINTR) {
    }
    return got == 1;
}

void write_byte(int to) {
    const char nothing = 0;
    while (::send(to, &nothing, 1, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
}

// Keeps nothing open that its parent has, but standard error: whoever waits for the end of one of these would wait for ever.
void close_all_but(int kept) {
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    if (kept > STDERR_FILENO + 1) close_range(STDERR_FILENO + 1, static_cast<unsigned>(kept) - 1, 0);
    close_range(static_cast<unsigned>(kept) + 1, ~0u, 0);
}

[[noreturn]] void guard(int parent, const std::function<void(bool)>& clean_up) noexcept {
    setsid();  // a signal to the terminal's processes is not for this one
    close_all_but(parent);
    write_byte(parent);
    const bool was_notified = read_byte(parent);
    if (was_notified) read_byte(parent);
    clean_up(was_notified);
    _exit(0);
}

}  // namespace

Guardian::Guardian(const std::function<void(bool)>& clean_up) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw_errno("socketpair");
    Descriptor guardians(ends[0]);
    alive_ = Descriptor(ends[1]);
    process_ = fork();
    if (process_ < 0) throw_errno("fork");
    if (process_ == 0) guard(guardians.get(), clean_up);
    guardians = Descriptor();
    if (read_byte(alive_.get())) return;
    waitpid(process_, nullptr, 0);
    throw HostLacks(
        "the process that cleans up ended at once: the kernel's log may say why: free memory, and try again");
}

Guardian::~Guardian() {
    alive_ = Descriptor();
    waitpid(process_, nullptr, 0);
}

void Guardian::notify() {
    write_byte(alive_.get());
}

void Guardian::say(const std::string& problem) {
    const std::string line = "gpremap: " + problem + "\n";
    if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;  // there is nobody else to tell
}

}  // namespace gpremap
