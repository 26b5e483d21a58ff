#include "vmm/base/interruption.h"

#include <poll.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "vmm/base/threads.h"

namespace gpremap {

namespace {

bool is_ignored(int signal) {
    struct sigaction action = {};
    return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Interrupted::Interrupted(int with)
    : std::runtime_error(std::string("ended by a signal: ") + strsignal(with) +
                         "; everything that was started has been stopped"),
      signal(with) {}

Interruption::Interruption() {
    sigemptyset(&signals_);
    for (int signal : {SIGINT, SIGTERM, SIGHUP})
        if (!is_ignored(signal)) sigaddset(&signals_, signal);
    arrivals_ = Descriptor(signalfd(-1, &signals_, SFD_CLOEXEC | SFD_NONBLOCK));
    end_ = Descriptor(eventfd(0, EFD_CLOEXEC));
    if (!arrivals_.valid() || !end_.valid()) throw_errno("waiting for signals");
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    try {
        thread_ = std::thread([this] { watch(); });
    } catch (...) {
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
        throw;
    }
}

Interruption::~Interruption() {
    eventfd_write(end_.get(), 1);
    thread_.join();
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<int> Interruption::requested() const {
    const int signal = signal_;
    return signal ? std::optional(signal) : std::nullopt;
}

void Interruption::check() const {
    if (const auto signal = requested()) throw Interrupted(*signal);
}

void Interruption::sleep(std::chrono::duration<double> duration) const {
    std::unique_lock lock(mutex_);
    noted_.wait_for(lock, duration, [&] { return signal_ != 0; });
}

void Interruption::watch() {
    begin_thread(ThreadKind::signals, "signals");
    constexpr int soon = 1000;  // ms, in which most of what is under way ends
    bool says_so = false;
    pollfd sources[] = {{arrivals_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}};
    while (true) {
        const int ready = poll(sources, 2, signal_ && !says_so ? soon : -1);
        if (sources[1].revents) return;
        if (ready == 0) {
            says_so = true;
            spdlog::warn("interrupted: waits for the end of what is under way; once more ends at once");
        }
        signalfd_siginfo arrived;
        while (read(arrivals_.get(), &arrived, sizeof arrived) == sizeof arrived)
            note(static_cast<int>(arrived.ssi_signo));
    }
}

void Interruption::ask(int signal) {
    if (!signal_) note(signal);
}

void Interruption::note(int signal) {
    if (signal_) _exit(exit_status_of(signal_));
    std::lock_guard lock(mutex_);
    signal_ = signal;
    noted_.notify_all();
}

}  // namespace gpremap
