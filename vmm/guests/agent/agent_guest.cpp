#include "vmm/guests/agent/agent_guest.h"

#include <cerrno>
#include <cstddef>
#include <stdexcept>

#include "vmm/vcpus/post_mortem.h"

namespace gpremap {
AgentGuest::AgentGuest(Vm& vm, unsigned vcpus, const Aperture& aperture, Calls calls)
    : DeskGuest(vm, vcpus, 0),
      calls_(calls),
      aperture_(aperture),
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
    state.set_special_registers(user_state(vcpu, state.special_registers()));
    state.set_registers(entry_registers(vcpu, entry_));
}

// ---- hypercalls ----

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
            return state.drop_translations() ? 0 : -ENOSYS;
        case abi::Call::nop:
            return 0;
        default:
            return -ENOSYS;
    }
}

// ---- faults ----

// What handles an exception tells of it.
Guest::Known AgentGuest::port(unsigned vcpu, Vcpu& state, const exits::Io& io) {
    return is_announcement(io, abi::exception_port) ? handle_exception(vcpu, state) : Known::no;
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
