// The desk of one vCPU, across which the host hands steps to the agent and gets reports back: through the vCPU's
// mailbox, by the hypercalls `next` and `done`.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>

#include "guest/abi/agent.h"
#include "vmm/guests/agent/agent_memory.h"
#include "vmm/kvm/vm.h"
#include "vmm/vcpus/guest.h"

namespace gpremap {

class Desk {
  public:
    Desk(unsigned vcpu, const Vm& vm, AgentMemory& memory) : vcpu_(vcpu), vm_(vm), memory_(memory) {}

    // ---- the host's side: Guest says what each does ----
    void wait_until_ready();
    // False where it is not ready within `longest`.
    bool is_ready_within(std::chrono::milliseconds longest);
    void begin(const abi::Step& step);
    Performed finish();
    bool wait_until_done(std::chrono::milliseconds longest);
    void require_idle();
    void stop(std::exception_ptr cause);

    // ---- the vCPU's side, by its own thread ----

    // The result of `next`: waits for a step, or says -EAGAIN where there is none, and clears `activity` for it.
    // Nothing where the vCPU is to stop.
    enum class WhenNone { wait, again };
    std::optional<int64_t> take_step(Activity& activity, WhenNone when_none = WhenNone::wait);
    // The result of `done`. `tsc_khz` is of the agent's time stamps.
    int64_t hand_in_report(const Activity& activity, uint32_t tsc_khz);
    // Whether the agent is at work on a step.
    bool is_working();

  private:
    enum class Phase {
        booting,   // the agent has not asked for a step yet
        idle,      // it waits, or will soon ask, for a step
        assigned,  // a step waits for the agent
        working,
        reported,  // the report waits for the host
    };

    Performed performed(const Activity& activity, uint32_t tsc_khz) const;

    const unsigned vcpu_;
    const Vm& vm_;
    AgentMemory& memory_;
    KvmCounts kvm_before_;  // when the step was handed to the agent; of the vCPU's thread alone

    std::mutex mutex_;                 // guards what follows
    std::condition_variable to_host_;  // a report has come, or the stop
    std::condition_variable to_vcpu_;  // a step has come, or the stop
    Phase phase_ = Phase::booting;
    abi::Step step_ = {};
    Performed performed_ = {};
    bool stopping_ = false;
    std::exception_ptr cause_;  // of the stop
};

}  // namespace gpremap
