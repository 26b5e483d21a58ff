// The thread of one vCPU: runs it, answers its hypercalls, settles its faults, and hands steps from
// the host to the agent and reports back.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/machine.h"
#include "vmm/memory/remapper.h"
#include "vmm/vcpus/instruction.h"
#include "vmm/vcpus/post_mortem.h"

namespace gpremap {

// What the workers of one machine have in common. When one of them dies, all stop.
struct Crew {
    Crew(Vm& of, Remapper& with, uint64_t at) : vm(of), remapper(with), entry(at) {}

    Vm& vm;
    Remapper& remapper;
    uint64_t entry;  // of the agent

    std::atomic<bool> stopping = false;
    std::atomic<uint64_t> calls =
        0;  // remapping calls begun, and ended: changes with every change of the space

    std::mutex mutex;                 // guards what follows, and each worker's step and report
    std::condition_variable to_host;  // a report has come, or the death
    std::exception_ptr death;
    std::array<std::condition_variable, abi::max_vcpus> to_vcpu;  // a step has come, or the stop

    // Every thread leaves its vCPU as soon as it can. `cause`, if any, becomes the death, unless there
    // is one already.
    void stop(std::exception_ptr cause);
};

class VcpuWorker {
  public:
    // Starts the thread. `vcpu` is not used by anyone else from here on.
    VcpuWorker(unsigned index, std::unique_ptr<Vcpu> vcpu, Crew& crew);
    // Crew::stop must have been called.
    ~VcpuWorker();

    // Waits until the agent asks for its first step. Throws what killed the machine.
    void wait_until_ready();

    // Machine::start and Machine::finish.
    void start(const abi::Step& step);
    Performed finish();
    // Machine::pre_fault.
    void pre_fault(uint64_t gpa, uint64_t size);

  private:
    using Clock = std::chrono::steady_clock;
    using Arguments = std::array<uint64_t, 6>;

    enum class Phase {
        booting,   // the agent has not asked for a step yet
        idle,      // it waits, or will soon ask, for a step
        assigned,  // a step waits for the agent
        working,
        reported,  // the report waits for the host
    };
    enum class Next { enter, stop };

    // Retries of one access that changed nothing.
    struct Stuck {
        kvm_regs regs = {};
        uint64_t calls = 0;
        uint64_t retries = 0;
        Clock::time_point since;
    };

    void run();
    Next enter_once();
    std::optional<Exit> run_once();  // nothing where the machine ends

    Next handle(exits::Hypercall);
    Next handle(exits::Exception);
    Next handle(exits::HostFault);
    Next handle(const exits::Mmio& mmio);
    Next handle(const exits::Unemulated& exit);
    Next handle(exits::Interrupted);
    Next handle(exits::Shutdown);
    Next handle(const exits::Unexpected& exit);

    std::optional<int64_t> control(abi::Call number, const Arguments& args);
    int64_t remap(abi::Call number, const Arguments& args);
    void pre_fault_targets();
    std::optional<int64_t> take_step();
    int64_t hand_in_report();

    std::string last_exception() const;
    std::vector<std::byte> code_at(uint64_t rip) const;
    std::vector<std::byte> code_before(uint64_t rip) const;
    std::optional<Access> first_refused(const std::vector<Access>& accesses);
    void settle_store(const exits::Mmio& mmio);
    void settle_load(const exits::Mmio& mmio);
    void deliver(const Access& access, uint64_t rip);
    void deliver(const abi::Fault& fault);
    void check_progress(const kvm_regs& regs, const std::vector<Access>& accesses);
    [[noreturn]] void die(const std::string& reason);

    const unsigned index_;
    std::unique_ptr<Vcpu> vcpu_;
    Crew& crew_;
    const uint32_t tsc_khz_;

    // Of the thread alone.
    HypercallLog log_;
    Clock::time_point exit_time_;
    bool in_remap_ = false;          // the exit being handled is a remapping call
    KvmCounts kvm_before_;           // when the step was handed to the agent
    bool remapped_ = false;          // the step has made one
    uint64_t call_ns_ = 0;           // of the last one
    uint64_t pre_faulted_ = 0;       // bytes, of the last one
    uint64_t retries_ = 0;           // in this step
    uint64_t retries_in_a_row_ = 0;  // of the access at hand
    uint64_t most_retries_in_a_row_ = 0;
    bool greeted_ = false;
    bool in_handler_ = false;  // a fault was delivered, and the report has not come since
    std::optional<uint64_t> fault_handler_;
    Stuck stuck_;

    // Guarded by crew_.mutex.
    Phase phase_ = Phase::booting;
    abi::Step step_ = {};
    Performed performed_ = {};

    std::thread thread_;
};

}  // namespace gpremap
