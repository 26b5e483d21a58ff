// The image's exceptions: an `out` is a hypercall, and all else is a fault, which is delivered as the VMM does it for an agent in ring 3.
#include <signal.h>
#include <sys/ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "guest/linux/agent/vcpu.h"

namespace gpremap {
namespace {

constexpr uint64_t vector_general_protection = 13, vector_page_fault = 14;
constexpr uint64_t error_write = 2, error_fetch = 0x10;
constexpr uint64_t direction_flag = 0x400;
constexpr std::size_t signal_stack_size = 256 << 10;

thread_local VcpuState* self = nullptr;

using Register = unsigned long long;

Register& reg(ucontext_t& context, int which) {
    return reinterpret_cast<Register&>(context.uc_mcontext.gregs[which]);
}

// ---- hypercalls ----

// `out %eax, $port`: no process may.
bool is_hypercall(ucontext_t& context) {
    constexpr unsigned char instruction[] = {0xe7, GPREMAP_HYPERCALL_PORT};
    return reg(context, REG_TRAPNO) == vector_general_protection &&
           std::memcmp(reinterpret_cast<const void*>(reg(context, REG_RIP)), instruction,
                       sizeof instruction) == 0;
}

// What the VMM does not do for this guest, or has to be done here, too.
int64_t make_call(VcpuState& state, const gpremap_batch_call& call) {
    switch (static_cast<abi::Call>(call.number)) {
        case abi::Call::next:
            return next_step(state);
        case abi::Call::fault_handler:
            state.fault_handler = call.arg[0];
            return 0;
        case abi::Call::resume:
            state.in_handler = false;
            return 0;
        case abi::Call::done: {
            const int64_t result = state.device.call(state.index, call);
            if (result == 0) state.in_handler = false;
            return result;
        }
        case abi::Call::flush_tlb:  // the image edits tables that this processor does not use
            return 0;
        case abi::Call::
            ring:  // calls that the module does not see could take away what processes have mapped
            return -ENOSYS;
        default:
            return state.device.call(state.index, call);
    }
}

void take_hypercall(VcpuState& state, ucontext_t& context) {
    const gpremap_batch_call call = {reg(context, REG_RAX),
                                     {reg(context, REG_RDI), reg(context, REG_RSI), reg(context, REG_RDX),
                                      reg(context, REG_R10), reg(context, REG_R8), reg(context, REG_R9)},
                                     0};
    reg(context, REG_RAX) = static_cast<Register>(make_call(state, call));
    reg(context, REG_RIP) += 2;
}

// ---- faults ----

abi::Fault fault_of(const VcpuState& state, ucontext_t& context) {
    abi::Fault fault = {};
    const uint64_t error = reg(context, REG_ERR);
    fault.vector = static_cast<uint32_t>(reg(context, REG_TRAPNO));
    fault.address = reg(context, REG_CR2);
    fault.rip = reg(context, REG_RIP);
    fault.vcpu = state.index;
    fault.kind = abi::FaultKind::read;
    if (fault.vector == vector_page_fault && (error & error_fetch))
        fault.kind = abi::FaultKind::execute;
    else if (fault.vector == vector_page_fault && (error & error_write))
        fault.kind = abi::FaultKind::write;
    fault.error_code = error;
    fault.cause = abi::FaultCause::exception;
    return fault;
}

// What a fault in the aperture has come to.
enum class Settled { repeat, report };

// The agent in ring 3 has tables that map all of the aperture: reads and writes are refused at stage 2 alone, and fetches in
// these tables. A process's mapping is changed between the two kinds, since an executable one shows only what may be executed.
Settled settle(const VcpuState& state, abi::Fault& fault) {
    constexpr uint64_t error_present = 1, error_user = 4;
    const abi::ExtentInfo extent = state.device.extent_at(fault.address);
    if (fault.kind == abi::FaultKind::execute) {
        fault.error_code = error_present | error_user | error_fetch;
        if (!(extent.prot & GPREMAP_PROT_EXEC)) return Settled::report;
        state.device.set_executable(extent.at, extent.size, true);
        return Settled::repeat;
    }
    fault.cause = abi::FaultCause::stage2;
    fault.error_code = 0;
    fault.vector = 0;
    if (extent.prot == 0 || (fault.kind == abi::FaultKind::write && !(extent.prot & GPREMAP_PROT_WRITE)))
        return Settled::report;
    if (!(extent.prot & GPREMAP_PROT_EXEC)) state.device.set_executable(extent.at, extent.size, false);
    return Settled::repeat;
}

// What the VMM allows comes through sooner or later; but for RAM that has been plugged, which no process is shown.
bool may_repeat(VcpuState& state, const abi::Fault& fault) {
    constexpr unsigned most_repeats = 100'000;
    const bool is_same = fault.address == state.repeated.address && fault.rip == state.repeated.rip;
    state.repeats = is_same ? state.repeats + 1 : 0;
    state.repeated = fault;
    return state.repeats < most_repeats;
}

// The image goes on at its fault handler.
void deliver(VcpuState& state, const abi::Fault& fault, ucontext_t& context) {
    state.mailbox.fault = fault;
    if (state.in_handler || !state.fault_handler) {
        state.device.call(state.index, abi::Call::unhandled);
        std::_Exit(1);
    }
    state.in_handler = true;
    reg(context, REG_RIP) = state.fault_handler;
    reg(context, REG_RDI) = state.index;
    reg(context, REG_RSI) = reinterpret_cast<uint64_t>(&state.mailbox);
    reg(context, REG_RDX) = state.device.world().tables;
    reg(context, REG_RSP) = state.stack_top;
    reg(context, REG_EFL) &= ~direction_flag;
}

// One in this program itself, whose state is no image's.
[[noreturn]] void end_with_fault(const abi::Fault& fault) {
    errno = EFAULT;
    static char text[96];
    std::snprintf(text, sizeof text, "vector %u at rip %#lx, address %#lx, of the agent's own program",
                  fault.vector, fault.rip, fault.address);
    give_up(text);
}

void handle(int, siginfo_t*, void* argument) {
    ucontext_t& context = *static_cast<ucontext_t*>(argument);
    if (!self) end_with_fault({});
    VcpuState& state = *self;
    if (is_hypercall(context)) return take_hypercall(state, context);
    abi::Fault fault = fault_of(state, context);
    if (state.device.in_aperture(fault.address) && fault.vector == vector_page_fault &&
        settle(state, fault) == Settled::repeat && may_repeat(state, fault))
        return;
    deliver(state, fault, context);
}

}  // namespace

void take_signals(VcpuState& state) {
    self = &state;
    stack_t stack = {};
    stack.ss_sp = std::malloc(signal_stack_size);
    stack.ss_size = signal_stack_size;
    if (!stack.ss_sp || sigaltstack(&stack, nullptr)) give_up("making a stack for signals");
    struct sigaction action = {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP})
        if (sigaction(signal, &action, nullptr)) give_up("taking signals");
}

}  // namespace gpremap
