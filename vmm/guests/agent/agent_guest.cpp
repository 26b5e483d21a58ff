#include "vmm/guests/agent/agent_guest.h"

#include <cerrno>
#include <cstddef>
#include <sstream>
#include <stdexcept>

#include "vmm/vcpus/post_mortem.h"

namespace gpremap {
namespace {

// An `out` of eax to that port.
bool is_announcement(const exits::Io& io, uint16_t port) {
    return io.port == port && io.direction == exits::Io::Direction::out && io.size == 4 && io.count == 1;
}

}  // namespace

AgentGuest::AgentGuest(Vm& vm, unsigned vcpus, const Aperture& aperture, Calls calls)
    : DeskGuest(vm, vcpus, 0),
      calls_(calls),
      entry_(build_agent_world(memory().bytes(), aperture, vm.capabilities())),
      agents_(vcpus) {}

void AgentGuest::begin(unsigned vcpu, const abi::Step& step) {
    const bool remaps = step.op == abi::Op::call && step.arg[0] >= static_cast<uint64_t>(abi::Call::map);
    if (calls_ == Calls::by_exit || !remaps) return DeskGuest::begin(vcpu, step);
    abi::Step by_ring = step;
    by_ring.op = abi::Op::ring_call;
    DeskGuest::begin(vcpu, by_ring);
}

void AgentGuest::start(unsigned vcpu, Vcpu& state) {
    agents_.at(vcpu).tsc_khz = state.tsc_khz();
    state.set_special_registers(ring3_state(vcpu, state.special_registers()));
    state.set_registers(entry_registers(vcpu, entry_));
}

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

// ---- hypercalls ----

std::optional<Hypercall> AgentGuest::hypercall(const exits::Io& io, const kvm_regs& regs) const {
    if (!is_announcement(io, GPREMAP_HYPERCALL_PORT)) return std::nullopt;
    return Hypercall{static_cast<abi::Call>(regs.rax),
                     {regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9}};
}

std::optional<int64_t> AgentGuest::control(unsigned vcpu, Vcpu& state, const Hypercall& call,
                                           Activity& activity) {
    Agent& agent = agents_.at(vcpu);
    switch (call.number) {
        case abi::Call::hello:
            require_version(call.args[0]);
            agent.greeted = true;
            return 0;
        case abi::Call::next:
            return agent.greeted ? desk(vcpu).take_step(activity) : -EPROTO;
        case abi::Call::done: {
            int64_t result = desk(vcpu).hand_in_report(activity, agent.tsc_khz);
            if (result == 0) agent.in_handler = false;
            return result;
        }
        case abi::Call::fault_handler:
            agent.fault_handler = call.args[0];
            return 0;
        case abi::Call::unhandled:
            end_unhandled(vcpu);
        case abi::Call::resume:
            agent.in_handler = false;
            return 0;
        case abi::Call::flush_tlb:
            state.drop_translations();
            return 0;
        case abi::Call::nop:
            return 0;
        default:
            return -ENOSYS;
    }
}

// ---- faults ----

// The ring 0 stub of an exception tells its vector.
Guest::Known AgentGuest::port(unsigned vcpu, Vcpu& state, const exits::Io& io) {
    if (!is_announcement(io, abi::exception_port)) return Known::no;
    handle_exception(vcpu, state);
    return Known::yes;
}

void AgentGuest::handle_exception(unsigned vcpu, Vcpu& state) {
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
    state.set_special_registers(ring3_state(vcpu, sregs));
    kvm_regs in_ring3 = regs;
    in_ring3.rip = frame.rip;
    in_ring3.rsp = frame.rsp;
    in_ring3.rax = frame.rax;
    in_ring3.rflags = frame.rflags;
    state.set_registers(in_ring3);
    deliver(vcpu, state, fault);
}

// The agent goes on at its fault handler, which gives the step up.
void AgentGuest::deliver(unsigned vcpu, Vcpu& state, const abi::Fault& fault) {
    Agent& agent = agents_.at(vcpu);
    if (agent.in_handler) throw GuestEnds("a fault in the fault handler: " + describe(fault));
    if (!agent.fault_handler)
        throw GuestEnds("a fault before the agent had a fault handler: " + describe(fault));
    if (!desk(vcpu).is_working()) throw GuestEnds("a fault outside a step: " + describe(fault));
    if (!memory().write(layout::mailbox(vcpu) + offsetof(abi::Mailbox, fault), &fault, sizeof fault))
        throw std::logic_error("the mailbox is outside the agent's memory");
    agent.in_handler = true;
    state.set_registers(entry_registers(vcpu, *agent.fault_handler));
}

}  // namespace gpremap
