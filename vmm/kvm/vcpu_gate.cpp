#include "vmm/kvm/vcpu_gate.h"

#include <signal.h>

#include <mutex>

namespace gpremap {

PausedVcpus::~PausedVcpus() {
    if (gate_) gate_->end_pause();
}

int VcpuGate::kick_signal() {
    return SIGRTMIN + 3;
}

void VcpuGate::adopt_thread(unsigned vcpu) {
    static std::once_flag handler_installed;
    std::call_once(handler_installed, [] {
        // Never runs: the signal is consumed while blocked. Without one the default would be to die.
        struct sigaction action = {};
        action.sa_handler = [](int) {};
        sigaction(kick_signal(), &action, nullptr);
    });
    sigset_t mask;
    sigfillset(&mask);
    for (int synchronous : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT}) sigdelset(&mask, synchronous);
    pthread_sigmask(SIG_BLOCK, &mask, nullptr);
    places_[vcpu].thread = pthread_self();
    places_[vcpu].has_thread = true;
}

// in_guest is set before closed_ is read, and pause_others sets closed_ before it reads in_guest: one of
// the two sees the other.
void VcpuGate::enter(unsigned vcpu) {
    Place& place = places_[vcpu];
    place.in_guest = true;
    while (closed_) {
        leave(vcpu);
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !closed_; });
        place.in_guest = true;
    }
    if (!is_shut_) return;
    leave(vcpu);
    check();
}

void VcpuGate::leave(unsigned vcpu) {
    places_[vcpu].in_guest = false;
    if (!closed_) return;
    // Under the mutex, so that it does not fall between the waiter's test and its sleep.
    std::lock_guard lock(mutex_);
    changed_.notify_all();
}

void VcpuGate::kick(unsigned vcpu) {
    Place& place = places_[vcpu];
    if (place.has_thread && place.in_guest) pthread_kill(place.thread, kick_signal());
}

PausedVcpus VcpuGate::pause_others(unsigned vcpu) {
    one_pause_.lock();
    depth_++;
    closed_ = true;
    for (unsigned other = 0; other < places_.size(); other++)
        if (other != vcpu) kick(other);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return others_in_guest_mode(vcpu) == 0; });
    return PausedVcpus(this);
}

std::optional<PausedVcpus> VcpuGate::keep_others_out(unsigned vcpu) {
    if (!one_pause_.try_lock()) return std::nullopt;
    depth_++;
    closed_ = true;
    PausedVcpus kept(this);
    if (others_in_guest_mode(vcpu) > 0) return std::nullopt;
    return kept;
}

void VcpuGate::shut(std::exception_ptr cause) {
    const std::lock_guard lock(mutex_);
    if (is_shut_) return;
    cause_ = cause;
    is_shut_ = true;
}

void VcpuGate::check() const {
    if (is_shut_) std::rethrow_exception(cause_);
}

unsigned VcpuGate::others_in_guest_mode(unsigned vcpu) const {
    unsigned running = 0;
    for (unsigned other = 0; other < places_.size(); other++)
        if (other != vcpu && places_[other].in_guest) ++running;
    return running;
}

void VcpuGate::end_pause() {
    if (--depth_ == 0) {
        std::lock_guard lock(mutex_);
        closed_ = false;
        changed_.notify_all();
    }
    one_pause_.unlock();
}

}  // namespace gpremap
