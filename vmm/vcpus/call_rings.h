// The host's side of the rings (guest/abi/ring.h): a thread that makes the calls which vCPUs write into memory.
//
//     vCPU     write call, submitted++ ................... completed seen
//     thread           submitted seen, call read, made, result written, completed++
//
// It looks at the rings in turn as long as there is something to do, and a little longer; then it sleeps until a bell is
// rung.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <semaphore>
#include <span>
#include <thread>

#include "guest/abi/agent.h"
#include "vmm/memory/caller.h"
#include "vmm/vcpus/call_ring.h"

namespace gpremap {

struct Crew;

class CallRings {
  public:
    // A failure that leaves the VM unusable stops the crew, which must outlive this.
    explicit CallRings(Crew& crew);
    // No vCPU may run any more.
    ~CallRings();
    CallRings(const CallRings&) = delete;
    CallRings& operator=(const CallRings&) = delete;

    // ---- by the vCPU's own thread ----

    // The results of the hypercalls of these names. -EFAULT where the ring is not in the guest's own memory, -EINVAL where
    // it does not begin at a multiple of 64.
    int64_t set_up(unsigned vcpu, uint64_t address);
    int64_t ring_bell();
    // Of the last call that this vCPU has made through its ring, once.
    std::optional<CallRecord> take_record(unsigned vcpu);

  private:
    struct Place {
        std::atomic<gpremap_ring*> wanted = nullptr;  // where the vCPU has set it up last,
        std::atomic<uint64_t> set_ups = 0;            // and how often
        // Of the thread.
        std::optional<CallRing> ring;
        uint64_t seen_set_ups = 0;

        std::mutex mutex;  // guards:
        std::optional<CallRecord> record;
    };

    enum class Found { nothing, work };

    void run();
    Found look_at_all();
    Found look_at(Place& place);
    void make(Place& place, std::span<const gpremap_ring_call> ring_calls);
    void sleep();
    void set_state(uint32_t state);

    Crew& crew_;
    std::array<Place, abi::max_vcpus> places_;
    std::atomic<bool> stops_ = false;
    std::counting_semaphore<> bell_{0};
    std::thread thread_;
};

}  // namespace gpremap
