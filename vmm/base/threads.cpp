#include "vmm/base/threads.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <utility>

namespace gpremap {
namespace {

std::atomic<Confine> confinement = nullptr;
constexpr size_t longest_name = 15;

}  // namespace

void begin_thread(ThreadKind kind, const std::string& name) {
    pthread_setname_np(pthread_self(), name.substr(0, longest_name).c_str());
    if (const Confine confine = confinement) confine(kind, name);
}

std::thread start_without_signals(std::function<void()> work) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread(std::move(work));
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
}

void confine_threads_with(Confine confine) {
    confinement = confine;
}

}  // namespace gpremap
