// One KVM virtual machine: its memory slots, its statistics, and the pause of its vCPUs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "remap/range.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/kvm_counts.h"
#include "vmm/kvm/statistics.h"
#include "vmm/kvm/vcpu_gate.h"

namespace gpremap {

class Vcpu;
struct CpuidTable;

class Vm {
  public:
    // Slots below this number are for the guest's own memory, which no call can remap.
    static constexpr uint32_t guest_slots = 1;

    // Creates the VM, without memory. Throws std::system_error.
    explicit Vm(const Kvm& kvm);
    Vm(const Vm&) = delete;
    Vm& operator=(const Vm&) = delete;

    const KvmCapabilities& capabilities() const { return kvm_.capabilities(); }

    // Adds slot `slot`, moves it (same size, host and flags, another gpa), or with size 0 deletes it.
    // Bytes, multiples of 4096. Throws std::system_error and changes nothing where KVM refuses.
    void set_memory(uint32_t slot, uint64_t gpa, uint64_t size, void* host, uint32_t flags);

    // Copies what is readable at `gpa`, in any slot, up to the first byte that is not. Returns how
    // much. Host memory that is not mapped, or in motion, counts as not readable.
    std::size_t read_guest(uint64_t gpa, std::span<std::byte> to) const;

    struct Slot {
        uint64_t gpa;
        uint64_t size;
        std::byte* host;
    };
    // Those that overlap `range`, by address.
    std::vector<Slot> slots_in(const remap::Range& range) const;

    // Sums over the VM and its vCPUs since creation; zeros where this KVM does not report them. The
    // pages_ are what is mapped now. `faults` is pf_taken: every second-stage fault that KVM took,
    // including those that ended in an exit. `tlb_flushes` is what the vCPUs flushed.
    KvmCounts stats() const;

    // Every vCPU but `vcpu` is out of guest mode, and stays out, until the result is destroyed.
    [[nodiscard]] PausedVcpus pause_others(unsigned vcpu) { return gate_.pause_others(vcpu); }
    // The same if they are out of guest mode already; otherwise nothing, and they run on.
    [[nodiscard]] std::optional<PausedVcpus> keep_others_out(unsigned vcpu) {
        return gate_.keep_others_out(vcpu);
    }
    VcpuGate& gate() { return gate_; }

    // ---- of a guest that is a kernel, on x86-64 ----

    // Interrupt controllers, in KVM: local and I/O APICs. Before the first vCPU. Throws std::system_error.
    void create_irqchip();
    // An edge on a line of the I/O APIC. Throws std::system_error.
    void pulse_irq(uint32_t line);
    // What a vCPU may be told that it has.
    const CpuidTable& supported_cpuid() const;

    // vCPUs are created in order, 0 first. The Vm must outlive them.
    std::unique_ptr<Vcpu> create_vcpu();

  private:
    // What the processor's KVM is to do otherwise than by default: vm_<architecture>.cpp.
    void prepare_processor();

    const Kvm& kvm_;
    Descriptor fd_;
    mutable std::mutex slots_mutex_;
    std::map<uint32_t, Slot> slots_;
    std::unique_ptr<Statistics> statistics_;
    std::vector<std::unique_ptr<Statistics>> vcpu_statistics_;
    VcpuGate gate_;
};

}  // namespace gpremap
