#include "vmm/vcpus/vcpu_thread.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "vmm/base/errors.h"
#include "vmm/guests/agent/world.h"

namespace gpremap {
namespace {

bool is_agents_own(uint64_t address) {
    return address - abi::agent_base < abi::agent_size;
}

bool is_same(const kvm_regs& a, const kvm_regs& b) {
    return std::memcmp(&a, &b, sizeof a) == 0;
}

}  // namespace

void Crew::stop(std::exception_ptr cause) {
    {
        std::lock_guard lock(mutex);
        if (!death) death = cause;
        stopping = true;
        to_host.notify_all();
        for (auto& waiting : to_vcpu) waiting.notify_all();
    }
    for (unsigned vcpu = 0; vcpu < abi::max_vcpus; vcpu++) vm.gate().kick(vcpu);
}

VcpuWorker::VcpuWorker(unsigned index, std::unique_ptr<Vcpu> vcpu, Crew& crew)
    : index_(index), vcpu_(std::move(vcpu)), crew_(crew), tsc_khz_(vcpu_->tsc_khz()), thread_([this] {
          run();
      }) {}

VcpuWorker::~VcpuWorker() {
    thread_.join();
}

// ---- the host's side ----

void VcpuWorker::wait_until_ready() {
    std::unique_lock lock(crew_.mutex);
    crew_.to_host.wait(lock, [&] { return phase_ != Phase::booting || crew_.death; });
    if (crew_.death) std::rethrow_exception(crew_.death);
}

void VcpuWorker::start(const abi::Step& step) {
    std::lock_guard lock(crew_.mutex);
    if (crew_.death) std::rethrow_exception(crew_.death);
    if (phase_ != Phase::idle) throw std::logic_error("a step is started on a vCPU that has one");
    step_ = step;
    phase_ = Phase::assigned;
    crew_.to_vcpu[index_].notify_one();
}

Performed VcpuWorker::finish() {
    std::unique_lock lock(crew_.mutex);
    if (phase_ == Phase::idle) throw std::logic_error("a vCPU has no step to finish");
    crew_.to_host.wait(lock, [&] { return phase_ == Phase::reported || crew_.death; });
    if (phase_ != Phase::reported) std::rethrow_exception(crew_.death);
    phase_ = Phase::idle;
    return std::move(performed_);
}

// KVM makes this wait for the vCPU, which may still be on its way to asking for a step.
void VcpuWorker::pre_fault(uint64_t gpa, uint64_t size) {
    {
        std::lock_guard lock(crew_.mutex);
        if (crew_.death) std::rethrow_exception(crew_.death);
        if (phase_ != Phase::idle) throw std::logic_error("pre-faulting by a vCPU that has a step");
    }
    vcpu_->pre_fault(gpa, size);
}

// ---- the vCPU's thread ----

void VcpuWorker::run() {
    try {
        crew_.vm.gate().adopt_thread(index_);
        vcpu_->set_special_registers(ring3_state(index_, vcpu_->special_registers()));
        vcpu_->set_registers(entry_registers(index_, crew_.entry));
        while (enter_once() == Next::enter) {
        }
    } catch (...) {
        crew_.stop(std::current_exception());
    }
}

VcpuWorker::Next VcpuWorker::enter_once() {
    using std::chrono::nanoseconds;
    if (in_remap_) call_ns_ = static_cast<uint64_t>(nanoseconds(Clock::now() - exit_time_).count());
    in_remap_ = false;

    auto exit = run_once();
    if (!exit) return Next::stop;
    return std::visit([this](const auto& one) { return handle(one); }, *exit);
}

std::optional<Exit> VcpuWorker::run_once() {
    VcpuGate::InGuestMode inside(crew_.vm.gate(), index_);
    if (crew_.stopping) return std::nullopt;
    Exit exit = vcpu_->run();
    exit_time_ = Clock::now();
    return exit;
}

VcpuWorker::Next VcpuWorker::handle(exits::Interrupted) {
    return Next::enter;
}

VcpuWorker::Next VcpuWorker::handle(exits::Shutdown) {
    die("triple fault" + last_exception());
}

// KVM resets the registers of a vCPU that AMD's SVM has shut down, so they do not tell what came before. The
// ring 0 stack keeps what the last exception that was delivered has pushed, if there ever was one.
std::string VcpuWorker::last_exception() const {
    constexpr uint64_t top = layout::ring0_stack_in_block + layout::page;
    ExceptionFrame frame;
    if (!crew_.vm.read_agent(layout::block(index_) + top - sizeof frame, &frame, sizeof frame))
        throw std::logic_error("the ring 0 stack is outside the agent's memory");
    if (frame.cs == 0) return "; no exception had been delivered to ring 0";
    std::ostringstream out;
    out << std::hex << std::showbase << "; the last exception delivered to ring 0: rip " << frame.rip
        << ", rsp " << frame.rsp << ", error code " << frame.error_code;
    return out.str();
}

VcpuWorker::Next VcpuWorker::handle(const exits::Unexpected& exit) {
    die(exit.description);
}

// ---- hypercalls ----

VcpuWorker::Next VcpuWorker::handle(exits::Hypercall) {
    const kvm_regs regs = vcpu_->registers();
    const Arguments args = {regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9};
    const auto number = static_cast<abi::Call>(regs.rax);
    log_.add(regs.rax, args);
    std::optional<int64_t> result =
        number < abi::Call::map ? control(number, args) : std::optional(remap(number, args));
    if (!result) return Next::stop;
    log_.set_result(*result);
    vcpu_->set_result(static_cast<uint64_t>(*result));
    return Next::enter;
}

int64_t VcpuWorker::remap(abi::Call number, const Arguments& args) {
    in_remap_ = true;
    remapped_ = true;
    crew_.calls++;
    int64_t result = crew_.remapper.call(index_, number, args);
    crew_.calls++;
    pre_faulted_ = 0;
    if (crew_.vm.capabilities().pre_fault) pre_fault_targets();
    return result;
}

// The call is over, and this is only to save faults: where another call comes between, or there is no memory,
// what is left is mapped when it is touched.
void VcpuWorker::pre_fault_targets() {
    try {
        for (const remap::Range& range : crew_.remapper.to_pre_fault(index_)) {
            vcpu_->pre_fault(range.start().value, range.size().bytes);
            pre_faulted_ += range.size().bytes;
        }
    } catch (const std::system_error&) {
    } catch (const std::bad_alloc&) {
    }
}

// Nothing where the vCPU is to stop.
std::optional<int64_t> VcpuWorker::control(abi::Call number, const Arguments& args) {
    switch (number) {
        case abi::Call::hello:
            greeted_ = args[0] == GPREMAP_ABI_VERSION;
            if (!greeted_)
                die("the agent speaks version " + std::to_string(args[0]) + " of the ABI, this program " +
                    std::to_string(GPREMAP_ABI_VERSION) + ": build both anew");
            return 0;
        case abi::Call::next:
            return greeted_ ? take_step() : -EPROTO;
        case abi::Call::done:
            return hand_in_report();
        case abi::Call::fault_handler:
            fault_handler_ = args[0];
            return 0;
        case abi::Call::unhandled: {
            abi::Fault fault;
            if (!crew_.vm.read_agent(layout::mailbox(index_) + offsetof(abi::Mailbox, fault), &fault,
                                     sizeof fault))
                throw std::logic_error("the mailbox is outside the agent's memory");
            die("unhandled fault: " + describe(fault));
        }
        case abi::Call::resume:
            in_handler_ = false;
            return 0;
        case abi::Call::flush_tlb:
            vcpu_->drop_translations();
            return 0;
        case abi::Call::nop:
            return 0;
        default:
            return -ENOSYS;
    }
}

std::optional<int64_t> VcpuWorker::take_step() {
    std::unique_lock lock(crew_.mutex);
    if (phase_ == Phase::working) return -EINVAL;
    if (phase_ == Phase::booting) {
        phase_ = Phase::idle;
        crew_.to_host.notify_all();
    }
    crew_.to_vcpu[index_].wait(lock, [&] { return phase_ == Phase::assigned || crew_.stopping; });
    if (crew_.stopping) return std::nullopt;
    phase_ = Phase::working;
    remapped_ = false;
    retries_ = retries_in_a_row_ = most_retries_in_a_row_ = 0;
    kvm_before_ = crew_.vm.stats();
    if (!crew_.vm.write_agent(layout::mailbox(index_) + offsetof(abi::Mailbox, step), &step_, sizeof step_))
        throw std::logic_error("the mailbox is outside the agent's memory");
    return 0;
}

int64_t VcpuWorker::hand_in_report() {
    Performed performed;
    if (!crew_.vm.read_agent(layout::mailbox(index_) + offsetof(abi::Mailbox, report), &performed.report,
                             sizeof performed.report))
        throw std::logic_error("the mailbox is outside the agent's memory");
    uint64_t ticks = performed.report.tsc_end - performed.report.tsc_begin;
    performed.guest_ns = static_cast<uint64_t>(static_cast<double>(ticks) * 1e6 / tsc_khz_);
    performed.kvm = crew_.vm.stats();
    performed.kvm.faults -= kvm_before_.faults;
    performed.kvm.tlb_flushes -= kvm_before_.tlb_flushes;
    performed.retries = retries_;
    performed.retries_in_a_row = most_retries_in_a_row_;
    if (remapped_) {
        performed.call = crew_.remapper.last_call(index_);
        performed.call->call_ns = call_ns_;
        performed.call->pre_faulted = pre_faulted_;
    }
    std::lock_guard lock(crew_.mutex);
    if (phase_ != Phase::working) return -EINVAL;
    in_handler_ = false;
    performed_ = std::move(performed);
    phase_ = Phase::reported;
    crew_.to_host.notify_all();
    return 0;
}

// ---- faults ----

std::vector<std::byte> VcpuWorker::code_at(uint64_t rip) const {
    std::vector<std::byte> code(longest_instruction);
    code.resize(crew_.vm.read_guest(rip, code));
    return code;
}

// Ends at rip; shorter where memory begins within.
std::vector<std::byte> VcpuWorker::code_before(uint64_t rip) const {
    for (std::size_t length = longest_instruction; length > 0; length--) {
        std::vector<std::byte> code(length);
        if (crew_.vm.read_guest(rip - length, code) == length) return code;
    }
    return {};
}

// Asks for each access until one is refused.
std::optional<Access> VcpuWorker::first_refused(const std::vector<Access>& accesses) {
    bool asked = false;
    for (const Access& access : accesses) {
        if (is_agents_own(access.address)) continue;
        asked = true;
        if (crew_.remapper.fault(index_, access.address, access.kind) == FaultVerdict::report) return access;
    }
    if (!asked) die("an access did not get through, and the instruction at rip does not tell which");
    return std::nullopt;
}

VcpuWorker::Next VcpuWorker::handle(exits::HostFault) {
    const kvm_regs regs = vcpu_->registers();
    std::vector<Access> accesses = locate(regs, code_at(regs.rip));
    if (auto refused = first_refused(accesses))
        deliver(*refused, regs.rip);
    else
        check_progress(regs, accesses);
    return Next::enter;
}

VcpuWorker::Next VcpuWorker::handle(const exits::Mmio& mmio) {
    if (mmio.kind == abi::FaultKind::write)
        settle_store(mmio);
    else
        settle_load(mmio);
    return Next::enter;
}

// KVM emulates where no slot is, or was a moment ago. Tried again, with no call in between, it must come
// through.
VcpuWorker::Next VcpuWorker::handle(const exits::Unemulated& exit) {
    const kvm_regs regs = vcpu_->registers();
    std::vector<Access> accesses = locate(regs, code_at(regs.rip));
    bool tried_again = is_same(regs, stuck_.regs) && crew_.calls == stuck_.calls;
    if (tried_again ||
        std::ranges::all_of(accesses, [](const Access& access) { return is_agents_own(access.address); }))
        die(exit.description);
    if (auto refused = first_refused(accesses))
        deliver(*refused, regs.rip);
    else
        check_progress(regs, accesses);
    return Next::enter;
}

// The registers are those before the instruction: once KVM has let go of it, it can be repeated.
void VcpuWorker::settle_load(const exits::Mmio& mmio) {
    const kvm_regs regs = vcpu_->registers();
    std::vector<Access> accesses = locate(regs, code_at(regs.rip));
    auto listed = std::ranges::find_if(
        accesses, [&](const Access& access) { return mmio.gpa - access.address < access.size; });
    bool stores_there = listed != accesses.end() && listed->kind == abi::FaultKind::write;
    if (listed == accesses.end()) accesses.push_back({mmio.gpa, mmio.size, mmio.kind});
    auto refused = first_refused(accesses);
    if (!refused && stores_there && !vcpu_->can_hide_memory())
        throw HostLacks(
            "this host's KVM cannot take back a half-done read-modify-write: use a kernel with "
            "CONFIG_KVM_SMM");
    vcpu_->abandon_mmio(layout::empty_table);
    if (refused)
        deliver(*refused, regs.rip);
    else
        check_progress(regs, accesses);
}

// The instruction is done but for its store. Where the space has come to allow the store since, the
// instruction is taken back and repeated; one that cannot be taken back is reported: when it was made,
// the access was not allowed.
void VcpuWorker::settle_store(const exits::Mmio& mmio) {
    const kvm_regs after = vcpu_->registers();
    const Access access = {mmio.gpa, mmio.size, abi::FaultKind::write};
    auto origin = find_origin(
        after, code_before(after.rip), code_at(after.rip),
        {mmio.gpa, std::span(mmio.data).first(std::min<std::size_t>(mmio.size, mmio.data.size()))});
    auto refused = first_refused({access});
    vcpu_->abandon_mmio(layout::empty_table);
    if (refused || !origin || origin->repeat != StoreOrigin::Repeat::exact) {
        deliver(access, origin ? origin->before.rip : after.rip);
        return;
    }
    check_progress(origin->before, {access});
    vcpu_->set_registers(origin->before);
}

VcpuWorker::Next VcpuWorker::handle(exits::Exception) {
    constexpr uint64_t page_fault = 14, error_write = 2, error_fetch = 0x10;
    const kvm_regs regs = vcpu_->registers();
    const kvm_sregs sregs = vcpu_->special_registers();
    ExceptionFrame frame;
    if ((sregs.cs.selector & 3) != 0 || !crew_.vm.read_agent(regs.rsp, &frame, sizeof frame) ||
        (frame.cs & 3) != 3)
        die("exception " + std::to_string(regs.rax & 0xff) + " in ring 0, or something that looks like it");

    abi::Fault fault = {};
    fault.address = sregs.cr2;
    fault.rip = frame.rip;
    fault.error_code = frame.error_code;
    fault.vector = static_cast<uint32_t>(regs.rax & 0xff);
    fault.cause = abi::FaultCause::exception;
    fault.vcpu = index_;
    fault.kind = abi::FaultKind::read;
    if (fault.vector == page_fault && (frame.error_code & error_fetch))
        fault.kind = abi::FaultKind::execute;
    else if (fault.vector == page_fault && (frame.error_code & error_write))
        fault.kind = abi::FaultKind::write;

    vcpu_->finish_exit();
    vcpu_->set_special_registers(ring3_state(index_, sregs));
    kvm_regs in_ring3 = regs;
    in_ring3.rip = frame.rip;
    in_ring3.rsp = frame.rsp;
    in_ring3.rax = frame.rax;
    in_ring3.rflags = frame.rflags;
    vcpu_->set_registers(in_ring3);
    deliver(fault);
    return Next::enter;
}

void VcpuWorker::deliver(const Access& access, uint64_t rip) {
    abi::Fault fault = {};
    fault.address = access.address;
    fault.rip = rip;
    fault.kind = access.kind;
    fault.cause = abi::FaultCause::stage2;
    fault.vcpu = index_;
    deliver(fault);
}

// The agent goes on at its fault handler, which gives the step up.
void VcpuWorker::deliver(const abi::Fault& fault) {
    if (in_handler_) die("a fault in the fault handler: " + describe(fault));
    if (!fault_handler_) die("a fault before the agent had a fault handler: " + describe(fault));
    {
        std::lock_guard lock(crew_.mutex);
        if (phase_ != Phase::working) die("a fault outside a step: " + describe(fault));
    }
    if (!crew_.vm.write_agent(layout::mailbox(index_) + offsetof(abi::Mailbox, fault), &fault, sizeof fault))
        throw std::logic_error("the mailbox is outside the agent's memory");
    in_handler_ = true;
    vcpu_->set_registers(entry_registers(index_, *fault_handler_));
}

// A retry helps where the space has changed, or is done changing. The same registers again, and not one
// call in between: the host cannot provide what the space promises (a huge page pool run dry, say).
void VcpuWorker::check_progress(const kvm_regs& regs, const std::vector<Access>& accesses) {
    constexpr uint64_t most_retries = 1'000'000;
    constexpr auto longest = std::chrono::seconds(5);
    uint64_t calls = crew_.calls;
    retries_++;
    retries_in_a_row_ = is_same(regs, stuck_.regs) ? retries_in_a_row_ + 1 : 1;
    most_retries_in_a_row_ = std::max(most_retries_in_a_row_, retries_in_a_row_);
    if (!is_same(regs, stuck_.regs) || calls != stuck_.calls) stuck_ = {regs, calls, 0, exit_time_};
    stuck_.retries++;
    if (stuck_.retries <= most_retries && exit_time_ - stuck_.since <= longest) return;
    abi::Fault fault = {};
    fault.address = accesses.back().address;
    fault.kind = accesses.back().kind;
    fault.rip = regs.rip;
    fault.vcpu = index_;
    die("no progress: the map allows the access, but the host did not let it through " +
        std::to_string(stuck_.retries) + " times: " + describe(fault) +
        ". Is the host out of memory or huge pages?");
}

void VcpuWorker::die(const std::string& reason) {
    throw GuestDied(post_mortem(reason, index_, vcpu_->registers(), vcpu_->special_registers(), log_));
}

}  // namespace gpremap
