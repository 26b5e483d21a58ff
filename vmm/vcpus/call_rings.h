// The host's side of the rings (guest/abi/ring.h): a thread that makes the calls which vCPUs write into memory.
//
//     vCPU     write call, submitted++ ................... completed seen
//     thread           submitted seen, call read, made, result written, completed++
//
// It looks at the rings in turn as long as there is something to do, and a little longer; then it sleeps until a bell is
// rung. What the guest writes is read once and not trusted: counters that make no sense break a ring, and nothing else.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <semaphore>
#include <thread>

#include "guest/abi/agent.h"
#include "vmm/memory/caller.h"

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
    struct Ring {
        std::atomic<gpremap_ring*> wanted = nullptr;  // where the vCPU has set it up last,
        std::atomic<uint64_t> set_ups = 0;            // and how often
        // Of the thread.
        gpremap_ring* shared = nullptr;
        uint64_t seen_set_ups = 0;
        uint32_t taken = 0;
        uint32_t completed = 0;

        std::mutex mutex;  // guards:
        std::optional<CallRecord> record;
    };

    enum class Found { nothing, work };

    void run();
    Found look_at_all();
    Found look_at(unsigned vcpu);
    uint32_t calls_ready(Ring& ring) const;
    void make(unsigned vcpu, Ring& ring, uint32_t count);
    void answer(Ring& ring, uint64_t tag, int64_t result);
    void sleep();
    void set_state(uint32_t state);

    Crew& crew_;
    std::array<Ring, abi::max_vcpus> rings_;
    std::atomic<bool> stops_ = false;
    std::counting_semaphore<> bell_{0};
    std::thread thread_;
};

}  // namespace gpremap
