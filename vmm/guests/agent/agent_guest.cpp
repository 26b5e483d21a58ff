#include "vmm/guests/agent/agent_guest.h"

#include <cerrno>
#include <cstddef>
#include <stdexcept>

#include "vmm/vcpus/post_mortem.h"

namespace gpremap {
bool is_announcement(const exits::Io& io, uint16_t port) {
    return io.port == port && io.direction == exits::Io::Direction::out && io.size == 4 && io.count == 1;
}

AgentGuest::AgentGuest(Vm& vm, unsigned vcpus, const Aperture& aperture, Calls calls)
    : memory_(vm),
      calls_(calls),
      aperture_(aperture),
      entry_(build_agent_world(memory_.bytes(), aperture, vm.capabilities())) {
    for (unsigned vcpu = 0; vcpu < vcpus; vcpu++)
        agents_.push_back(std::make_unique<Agent>(vcpu, vm, memory_));
}

void AgentGuest::begin(unsigned vcpu, const abi::Step& step) {
    const bool remaps = step.op == abi::Op::call && step.arg[0] >= static_cast<uint64_t>(abi::Call::map);
    if (calls_ == Calls::by_exit || !remaps) return at(vcpu).desk.begin(step);
    abi::Step by_ring = step;
    by_ring.op = abi::Op::ring_call;
    at(vcpu).desk.begin(by_ring);
}

void AgentGuest::stop(std::exception_ptr cause) {
    for (auto& agent : agents_) agent->desk.stop(cause);
}

void AgentGuest::start(unsigned vcpu, Vcpu& state) {
    at(vcpu).tsc_khz = state.tsc_khz();
    state.set_special_registers(user_state(vcpu, state.special_registers()));
    state.set_registers(entry_registers(vcpu, entry_));
}

// ---- hypercalls ----

std::optional<int64_t> AgentGuest::control(unsigned vcpu, Vcpu& state, const Hypercall& call,
                                           Activity& activity) {
    Agent& agent = at(vcpu);
    switch (call.number) {
        case abi::Call::hello:
            greet(agent, call.args[0]);
            return 0;
        case abi::Call::next:
            return agent.greeted ? agent.desk.take_step(activity) : -EPROTO;
        case abi::Call::done: {
            int64_t result = agent.desk.hand_in_report(activity, agent.tsc_khz);
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

void AgentGuest::greet(Agent& agent, uint64_t version) {
    agent.greeted = version == GPREMAP_ABI_VERSION;
    if (!agent.greeted)
        throw GuestEnds("the agent speaks version " + std::to_string(version) + " of the ABI, this program " +
                        std::to_string(GPREMAP_ABI_VERSION) + ": build both anew");
}

void AgentGuest::end_unhandled(unsigned vcpu) const {
    abi::Fault fault;
    if (!memory_.read(layout::mailbox(vcpu) + offsetof(abi::Mailbox, fault), &fault, sizeof fault))
        throw std::logic_error("the mailbox is outside the agent's memory");
    throw GuestEnds("unhandled fault: " + describe(fault));
}

// ---- faults ----

// What handles an exception tells of it.
Guest::Known AgentGuest::port(unsigned vcpu, Vcpu& state, const exits::Io& io) {
    return is_announcement(io, abi::exception_port) ? handle_exception(vcpu, state) : Known::no;
}

// The agent goes on at its fault handler, which gives the step up.
void AgentGuest::deliver(unsigned vcpu, Vcpu& state, const abi::Fault& fault) {
    Agent& agent = at(vcpu);
    if (agent.in_handler) throw GuestEnds("a fault in the fault handler: " + describe(fault));
    if (!agent.fault_handler)
        throw GuestEnds("a fault before the agent had a fault handler: " + describe(fault));
    if (!agent.desk.is_working()) throw GuestEnds("a fault outside a step: " + describe(fault));
    if (!memory_.write(layout::mailbox(vcpu) + offsetof(abi::Mailbox, fault), &fault, sizeof fault))
        throw std::logic_error("the mailbox is outside the agent's memory");
    agent.in_handler = true;
    state.set_registers(entry_registers(vcpu, *agent.fault_handler));
}

}  // namespace gpremap
