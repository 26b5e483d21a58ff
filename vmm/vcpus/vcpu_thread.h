// The thread of one vCPU: runs it, has its hypercalls answered, and settles its faults.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "vmm/host/facts.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"
#include "vmm/memory/remapper.h"
#include "vmm/vcpus/guest.h"
#include "vmm/vcpus/instruction.h"
#include "vmm/vcpus/post_mortem.h"

namespace gpremap {

class CallRings;

// What the threads of one machine have in common. When one of them dies, all stop.
struct Crew {
    Vm& vm;
    Remapper& remapper;
    Guest& guest;
    CallRings* rings = nullptr;  // where the VM has rings
    std::atomic<bool> stopping = false;
    std::mutex one_stop = {};  // held by stop

    // Every thread leaves its vCPU as soon as it can. `cause`, if any, is why; the first one counts.
    void stop(std::exception_ptr cause);
};

class VcpuThread {
  public:
    // Starts the thread, on the host processor `cpu`, if there is one. `vcpu` is not used by anyone else from here
    // on.
    VcpuThread(unsigned index, std::optional<unsigned> cpu, std::unique_ptr<Vcpu> vcpu, Crew& crew);
    // Crew::stop must have been called.
    ~VcpuThread();

    // Machine::pre_fault. KVM makes this wait for the vCPU, which may still be on its way to asking for a step.
    void pre_fault(uint64_t gpa, uint64_t size);

  private:
    using Clock = std::chrono::steady_clock;

    enum class Next { enter, stop };

    // Retries of one access that changed nothing.
    struct Stuck {
        kvm_regs regs = {};
        uint64_t generation = 0;  // of the remapper
        uint64_t retries = 0;
        uint64_t in_a_row = 0;  // whatever has changed meanwhile
        Clock::time_point since;
    };

    void run();
    void run_until_stopped();
    Next enter_once();
    std::optional<Exit> run_once();  // nothing where the machine ends

    Next handle(const exits::Io& io);
    Next handle(exits::HostFault);
    Next handle(const exits::Mmio& mmio);
    Next handle(const exits::Unemulated& exit);
    Next handle(exits::Interrupted);
    Next handle(exits::Shutdown);
    Next handle(const exits::Unexpected& exit);

    Next answer(const Hypercall& call);
    std::optional<int64_t> control(const Hypercall& call);
    int64_t remap(const Hypercall& call);
    uint64_t pre_fault_targets(const std::vector<remap::Range>& targets);

    // settling.cpp
    std::vector<std::byte> code_at(uint64_t rip) const;
    std::vector<Access> accesses_at(const kvm_regs& regs) const;
    std::optional<Access> first_refused(const std::vector<Access>& accesses);
    void settle(const kvm_regs& regs, const std::vector<Access>& accesses);
    void deliver(const Access& access, uint64_t rip);
    void check_progress(const kvm_regs& regs, const std::vector<Access>& accesses);

    // settling_x86_64.cpp
    std::vector<std::byte> code_before(uint64_t rip) const;
    void settle_store(const exits::Mmio& mmio);
    void settle_load(const exits::Mmio& mmio);

    [[noreturn]] void die(const std::string& reason);

    const unsigned index_;
    const std::optional<unsigned> cpu_;
    std::unique_ptr<Vcpu> vcpu_;
    Crew& crew_;

    HypercallLog log_;
    bool in_remap_ = false;  // the exit being handled is a remapping call
    Activity activity_;
    Stuck stuck_;
    const OpenHugePages pool_;  // that memory is made of, if it is

    std::thread thread_;
};

}  // namespace gpremap
