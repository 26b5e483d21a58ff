// One vCPU: runs it, and turns what KVM says into a typed exit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "guest/abi/agent.h"
#include "vmm/kvm/kvm.h"

namespace gpremap {

namespace exits {

// An access to a port, or to the doorbell that stands for ports (guest/abi/aarch64.h). What `in` is given and `out` has brought lies at `data`, `size` bytes a time, until the next
// run(), which advances rip.
struct Io {
    enum class Direction { in, out };
    uint16_t port;
    Direction direction;
    unsigned size;   // bytes
    unsigned count;  // more than one of a repeated string instruction
    std::byte* data;
};

// The host's mapping under a slot did not allow an access. The registers are those before the
// instruction; KVM does not tell the address. The next run() repeats the instruction.
struct HostFault {};

// An access where no slot is, or a write to a read-only slot. The address of one piece of it, of at
// most 8 bytes within a page. A read: the registers are those before the instruction. A write: the
// instruction is already done, but for the store itself (except rip, within a repeated string
// instruction). KVM holds the exit's unfinished half until abandon_mmio().
struct Mmio {
    uint64_t gpa;
    uint32_t size;
    abi::FaultKind kind;
    std::array<std::byte, 8> data;  // of a write
};

// KVM went to emulate an instruction and could not: it found nothing to fetch, or does not know the
// instruction. The registers are those before it.
struct Unemulated {
    std::string description;
};

struct Interrupted {};  // by VcpuGate::kick
struct Shutdown {};     // triple fault
struct Unexpected {
    std::string description;
};

}  // namespace exits

using Exit = std::variant<exits::Io, exits::HostFault, exits::Mmio, exits::Unemulated, exits::Interrupted,
                          exits::Shutdown, exits::Unexpected>;

struct CpuidTable;
struct MsrTable;

class Vcpu {
  public:
    // Takes KVM's descriptor, makes the vCPU what Kvm::vcpu_model says and gives it the signal mask that VcpuGate's kick needs.
    // Made by Vm::create_vcpu. Throws std::system_error.
    Vcpu(const Kvm& kvm, Descriptor fd);
    ~Vcpu();
    Vcpu(const Vcpu&) = delete;
    Vcpu& operator=(const Vcpu&) = delete;

    // Enters the guest until the next exit. Only by the vCPU's own thread. Throws std::system_error; GuestDied where KVM has
    // given up the whole VM.
    Exit run();

    // The last exit in words, for reports.
    std::string describe_exit() const;

    // As of the last exit. What is set is in force from the next run().
    const kvm_regs& registers();
    void set_registers(const kvm_regs& regs);
    void set_result(uint64_t result);  // of a hypercall
    SpecialRegisters special_registers() const;
    void set_special_registers(const SpecialRegisters& sregs);

    // Has KVM finish what it began with the last exit without entering the guest; registers set since
    // that exit are overwritten. For an exit by `out` that the guest is not to return from.
    void finish_exit();

    // Drops the unfinished half of an Mmio exit: nothing of it reaches memory, and the registers are
    // those of the exit. `empty_root` is the address of a page table that maps nothing.
    // Where can_hide_memory() is false, the store of an instruction that reads and writes the same
    // place still reaches memory that a slot has come to hold since the exit.
    void abandon_mmio(uint64_t empty_root);
    bool can_hide_memory() const;

    // The vCPU forgets every translation that it has from the agent's own page tables. False where only the guest can
    // do that.
    bool drop_translations();

    // Has KVM map guest memory at stage 2 as a read by the guest would, without running it. The range must be
    // mapped and readable, and KvmCapabilities::pre_fault true. Bytes, multiples of 4096. By any thread while
    // the vCPU does not run. Throws std::system_error, with part of the range mapped.
    void pre_fault(uint64_t gpa, uint64_t size);

    // Of the guest's time stamps.
    uint32_t tsc_khz() const;

    // ---- of a guest that is a kernel, on x86-64; the first three before the first run(). They throw std::system_error. ----

    void set_cpuid(const CpuidTable& cpuid);
    void set_msrs(MsrTable msrs);
    // Entries LVT0 and LVT1 of the local APIC.
    void set_local_interrupts(uint32_t lint0, uint32_t lint1);
    // What the vCPU's own tables map a virtual address to; nothing where they map nothing.
    std::optional<uint64_t> translate(uint64_t address) const;
    // Answers the read of an Mmio exit: bytes that are all ones, as where no device is.
    void answer_read_with_ones();

  private:
    int enter_once();

    // vcpu_<architecture>.cpp
    void prepare(const Kvm& kvm);
    Exit classify();
    void load_registers();
    void store_registers();

    const KvmCapabilities& capabilities_;
    Descriptor fd_;
    std::size_t area_size_;
    kvm_run* area_;
    kvm_regs registers_ = {};  // without sync_regs: the copy
    kvm_regs stored_ = {};     // what KVM has, where registers come one by one
    bool loaded_ = false;      // registers_ is as of the last exit
    bool changed_ = false;     // registers_ is newer than KVM's
};

}  // namespace gpremap
