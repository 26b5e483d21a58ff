#include <sstream>

#include "vmm/guests/agent/agent_guest.h"

namespace gpremap {
namespace {

enum class Level : uint64_t { el0 = 0, el1 = 5 };  // in pstate, each on its own stack

Level level_of(uint64_t pstate) {
    return static_cast<Level>(pstate & 15);
}

// Classes of exceptions from EL0, and the causes of an abort.
constexpr uint64_t instruction_abort = 0x20, data_abort = 0x24;
constexpr uint64_t is_write = 1 << 6, external_abort = 0x10;

bool is_translation_fault(uint64_t cause) {
    return cause >= 4 && cause <= 7;
}

}  // namespace

// A vCPU of aarch64 does not shut down: it goes from one exception to the next.
std::string AgentGuest::last_words(unsigned) const {
    return {};
}

std::optional<Hypercall> DeskGuest::hypercall(const exits::Io& io, const kvm_regs& regs) const {
    if (!is_announcement(io, GPREMAP_HYPERCALL_PORT)) return std::nullopt;
    const auto& x = regs.regs.regs;
    return Hypercall{static_cast<abi::Call>(x[8]), {x[0], x[1], x[2], x[3], x[4], x[5]}};
}

// Two of them are accesses that did not get through, and the vCPU is put back before them: KVM has nothing to fetch
// from (it tells the guest, and nobody else), and a leaf of the tables is being replaced by another vCPU.
Guest::Known AgentGuest::handle_exception(unsigned vcpu, Vcpu& state) {
    const kvm_regs regs = state.registers();
    const SpecialRegisters special = state.special_registers();
    const uint64_t exception = special.esr >> 26, cause = special.esr & 63;
    if (level_of(regs.regs.pstate) != Level::el1 || level_of(regs.spsr[0]) != Level::el0) {
        std::ostringstream what;
        what << "an exception in EL1, or something that looks like it: esr " << std::hex << std::showbase
             << special.esr << ", far " << special.far << ", elr " << regs.elr_el1;
        throw GuestEnds(what.str());
    }
    abi::Fault fault = {};
    fault.address = special.far;
    fault.rip = regs.elr_el1;
    fault.error_code = special.esr & 0x1ffffff;
    fault.vector = static_cast<uint32_t>(exception);
    fault.cause = abi::FaultCause::exception;
    fault.vcpu = vcpu;
    fault.kind = abi::FaultKind::read;
    if (exception == instruction_abort)
        fault.kind = abi::FaultKind::execute;
    else if (exception == data_abort && (special.esr & is_write))
        fault.kind = abi::FaultKind::write;

    state.finish_exit();
    kvm_regs in_el0 = regs;
    in_el0.regs.pc = regs.elr_el1;
    in_el0.regs.pstate = regs.spsr[0];
    in_el0.regs.regs[16] = special.tpidr;  // vectors_aarch64.S
    state.set_registers(in_el0);
    const bool is_abort = exception == instruction_abort || exception == data_abort;
    const bool in_aperture = fault.address - aperture_.base < aperture_.size;
    if (is_abort && (cause == external_abort || (is_translation_fault(cause) && in_aperture)))
        return Known::access;
    deliver(vcpu, state, fault);
    return Known::yes;
}

}  // namespace gpremap
