#include "vmm/base/threads.h"

#include <pthread.h>

#include <atomic>

namespace gpremap {
namespace {

std::atomic<Confine> confinement = nullptr;
constexpr size_t longest_name = 15;

}  // namespace

void begin_thread(ThreadKind kind, const std::string& name) {
    pthread_setname_np(pthread_self(), name.substr(0, longest_name).c_str());
    if (const Confine confine = confinement) confine(kind, name);
}

void confine_threads_with(Confine confine) {
    confinement = confine;
}

}  // namespace gpremap
