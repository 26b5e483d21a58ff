// The gate in front of guest mode: lets one thread keep every vCPU out for a while.
//
// Only being in KVM_RUN counts as running. A vCPU whose thread handles an exit, waits for a lock or for
// its next step is paused already, and stays so: it meets the closed gate before its next KVM_RUN. So
// a thread that holds a lock others wait for may pause them.
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

#include "guest/abi/agent.h"

namespace gpremap {

class VcpuGate;

// While it lives, the vCPUs are out of guest mode.
class PausedVcpus {
  public:
    PausedVcpus(PausedVcpus&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    PausedVcpus& operator=(PausedVcpus&&) = delete;
    ~PausedVcpus();

  private:
    friend class VcpuGate;
    explicit PausedVcpus(VcpuGate* gate) : gate_(gate) {}
    VcpuGate* gate_;
};

class VcpuGate {
  public:
    static constexpr unsigned nobody = ~0u;  // for pause_others by a thread that is no vCPU's

    // The signal that ends a KVM_RUN. vCPU threads have it blocked except inside KVM_RUN.
    static int kick_signal();

    // By the vCPU's own thread, once, before its first enter(): blocks every signal that is not
    // raised by the thread itself, so that signals to the process go to other threads.
    void adopt_thread(unsigned vcpu);

    // Around KVM_RUN. Waits first while the gate is closed; throws what shut() was given.
    class InGuestMode {
      public:
        InGuestMode(VcpuGate& gate, unsigned vcpu) : gate_(gate), vcpu_(vcpu) { gate_.enter(vcpu_); }
        ~InGuestMode() { gate_.leave(vcpu_); }
        InGuestMode(const InGuestMode&) = delete;
        InGuestMode& operator=(const InGuestMode&) = delete;

      private:
        VcpuGate& gate_;
        unsigned vcpu_;
    };

    // Makes a KVM_RUN of `vcpu` that is under way, if any, return as interrupted.
    void kick(unsigned vcpu);

    // Closes the gate and waits until every vCPU but `vcpu`, which must be the caller's, is out. Another
    // thread that asks meanwhile waits for the pause to end; the same thread may ask again, and the
    // pause then ends with the last of its PausedVcpus.
    PausedVcpus pause_others(unsigned vcpu);

    // The same where they are all out already: closes the gate behind them. Nothing where one is in guest
    // mode, which is left alone.
    std::optional<PausedVcpus> keep_others_out(unsigned vcpu);

    // No vCPU gets into guest mode any more, because of `cause`. Those that are in it are not brought out: the caller has
    // paused them. Only the first cause counts.
    void shut(std::exception_ptr cause);
    // Throws that cause.
    void check() const;

    // How many are in guest mode at this moment, but for `vcpu`.
    unsigned others_in_guest_mode(unsigned vcpu) const;

  private:
    friend class PausedVcpus;
    void enter(unsigned vcpu);
    void leave(unsigned vcpu);

    void end_pause();

    struct Place {
        std::atomic<bool> in_guest = false;
        std::atomic<bool> has_thread = false;
        pthread_t thread = {};
    };

    std::array<Place, abi::max_vcpus> places_;
    std::atomic<bool> closed_ = false;
    std::recursive_mutex one_pause_;  // held while the gate is closed
    unsigned depth_ = 0;              // of nested pauses; guarded by one_pause_
    std::mutex mutex_;
    std::condition_variable changed_;
    std::exception_ptr cause_;  // does not change any more once is_shut_ is set
    std::atomic<bool> is_shut_ = false;
};

}  // namespace gpremap
