#include <sstream>
#include <stdexcept>

#include "vmm/guests/agent/agent_guest.h"

namespace gpremap {
namespace {

// What the ring 0 stub for an exception left on its stack, lowest address first.
struct ExceptionFrame {
    uint64_t rax;
    uint64_t error_code;  // 0 where the exception has none
    uint64_t rip;
    uint64_t cs;
    uint64_t rflags;
    uint64_t rsp;
    uint64_t ss;
};

}  // namespace

// KVM resets the registers of a vCPU that AMD's SVM has shut down, so they do not tell what came before. The
// ring 0 stack keeps what the last exception that was delivered has pushed, if there ever was one.
std::string AgentGuest::last_words(unsigned vcpu) const {
    constexpr uint64_t top = layout::ring0_stack_in_block + layout::page;
    ExceptionFrame frame;
    if (!memory().read(layout::block(vcpu) + top - sizeof frame, &frame, sizeof frame))
        throw std::logic_error("the ring 0 stack is outside the agent's memory");
    if (frame.cs == 0) return "; no exception had been delivered to ring 0";
    std::ostringstream out;
    out << std::hex << std::showbase << "; the last exception delivered to ring 0: rip " << frame.rip
        << ", rsp " << frame.rsp << ", error code " << frame.error_code;
    return out.str();
}

std::optional<Hypercall> DeskGuest::hypercall(const exits::Io& io, const kvm_regs& regs) const {
    if (!is_announcement(io, GPREMAP_HYPERCALL_PORT)) return std::nullopt;
    return Hypercall{static_cast<abi::Call>(regs.rax),
                     {regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9}};
}

Guest::Known AgentGuest::handle_exception(unsigned vcpu, Vcpu& state) {
    constexpr uint64_t page_fault = 14, error_write = 2, error_fetch = 0x10;
    const kvm_regs regs = state.registers();
    const kvm_sregs sregs = state.special_registers();
    ExceptionFrame frame;
    if ((sregs.cs.selector & 3) != 0 || !memory().read(regs.rsp, &frame, sizeof frame) || (frame.cs & 3) != 3)
        throw GuestEnds("exception " + std::to_string(regs.rax & 0xff) +
                        " in ring 0, or something that looks like it");

    abi::Fault fault = {};
    fault.address = sregs.cr2;
    fault.rip = frame.rip;
    fault.error_code = frame.error_code;
    fault.vector = static_cast<uint32_t>(regs.rax & 0xff);
    fault.cause = abi::FaultCause::exception;
    fault.vcpu = vcpu;
    fault.kind = abi::FaultKind::read;
    if (fault.vector == page_fault && (frame.error_code & error_fetch))
        fault.kind = abi::FaultKind::execute;
    else if (fault.vector == page_fault && (frame.error_code & error_write))
        fault.kind = abi::FaultKind::write;

    state.finish_exit();
    state.set_special_registers(user_state(vcpu, sregs));
    kvm_regs in_ring3 = regs;
    in_ring3.rip = frame.rip;
    in_ring3.rsp = frame.rsp;
    in_ring3.rax = frame.rax;
    in_ring3.rflags = frame.rflags;
    state.set_registers(in_ring3);
    deliver(vcpu, state, fault);
    return Known::yes;
}

}  // namespace gpremap
