#include "vmm/vcpus/vcpu_thread.h"

#include <cerrno>
#include <new>
#include <string>
#include <system_error>

#include "vmm/base/errors.h"
#include "vmm/base/threads.h"
#include "vmm/host/processors.h"
#include "vmm/vcpus/call_rings.h"

namespace gpremap {

void Crew::stop(std::exception_ptr cause) {
    std::lock_guard lock(one_stop);
    stopping = true;
    guest.stop(cause);
    for (unsigned vcpu = 0; vcpu < abi::max_vcpus; vcpu++) vm.gate().kick(vcpu);
}

VcpuThread::VcpuThread(unsigned index, std::optional<unsigned> cpu, std::unique_ptr<Vcpu> vcpu, Crew& crew)
    : index_(index),
      cpu_(cpu),
      vcpu_(std::move(vcpu)),
      crew_(crew),
      pool_(huge_page_of(crew.remapper.backing())),
      thread_([this] { run(); }) {}

VcpuThread::~VcpuThread() {
    thread_.join();
}

void VcpuThread::pre_fault(uint64_t gpa, uint64_t size) {
    crew_.guest.require_idle(index_);
    vcpu_->pre_fault(gpa, size);
}

void VcpuThread::run() {
    try {
        run_until_stopped();
    } catch (...) {
        crew_.stop(std::current_exception());
    }
}

// Where it runs and how it is woken is settled first: a confined thread cannot.
void VcpuThread::run_until_stopped() {
    if (cpu_) run_on({*cpu_});
    crew_.vm.gate().adopt_thread(index_);
    begin_thread(ThreadKind::vcpu, "vcpu" + std::to_string(index_));
    try {
        crew_.guest.start(index_, *vcpu_);
        while (enter_once() == Next::enter) {
        }
    } catch (const GuestEnds& end) {
        die(end.what());
    }
}

VcpuThread::Next VcpuThread::enter_once() {
    using std::chrono::nanoseconds;
    if (in_remap_)
        activity_.call->call_ns =
            static_cast<uint64_t>(nanoseconds(Clock::now() - activity_.visit.left).count());
    in_remap_ = false;

    auto exit = run_once();
    if (!exit) return Next::stop;
    return std::visit([this](const auto& one) { return handle(one); }, *exit);
}

std::optional<Exit> VcpuThread::run_once() {
    VcpuGate::InGuestMode inside(crew_.vm.gate(), index_);
    if (crew_.stopping) return std::nullopt;
    activity_.visit.entered = Clock::now();
    Exit exit = vcpu_->run();
    activity_.visit.left = Clock::now();
    return exit;
}

VcpuThread::Next VcpuThread::handle(exits::Interrupted) {
    return Next::enter;
}

VcpuThread::Next VcpuThread::handle(exits::Shutdown) {
    die("triple fault" + crew_.guest.last_words(index_));
}

VcpuThread::Next VcpuThread::handle(const exits::Unexpected& exit) {
    die(exit.description);
}

// ---- hypercalls ----

VcpuThread::Next VcpuThread::handle(const exits::Io& io) {
    if (auto call = crew_.guest.hypercall(io, vcpu_->registers())) return answer(*call);
    switch (crew_.guest.port(index_, *vcpu_, io)) {
        case Guest::Known::no:
            die(vcpu_->describe_exit());
        case Guest::Known::yes:
            return Next::enter;
        case Guest::Known::access:
            return handle(exits::HostFault{});
    }
    return Next::enter;
}

VcpuThread::Next VcpuThread::answer(const Hypercall& call) {
    log_.add(static_cast<uint64_t>(call.number), call.args);
    std::optional<int64_t> result = call.number < abi::Call::map ? control(call) : std::optional(remap(call));
    if (!result) return Next::stop;
    log_.set_result(*result);
    vcpu_->set_result(static_cast<uint64_t>(*result));
    return Next::enter;
}

std::optional<int64_t> VcpuThread::control(const Hypercall& call) {
    if (call.number == abi::Call::ring)
        return crew_.rings ? crew_.rings->set_up(index_, call.args[0]) : -ENOSYS;
    if (call.number == abi::Call::ring_bell) return crew_.rings ? crew_.rings->ring_bell() : -ENOSYS;
    // A report is of a call that was made through the ring, too.
    if (call.number == abi::Call::done && crew_.rings)
        if (auto record = crew_.rings->take_record(index_)) activity_.call = record;
    return crew_.guest.control(index_, *vcpu_, call, activity_);
}

int64_t VcpuThread::remap(const Hypercall& call) {
    in_remap_ = true;
    Called called = crew_.remapper.call({crew_.guest, index_}, call.number, call.args);
    activity_.call = std::move(called.record);
    if (crew_.vm.capabilities().pre_fault) activity_.call->pre_faulted = pre_fault_targets(called.targets);
    return called.result;
}

// The call is over, and this is only to save faults: where another call comes between, or there is no memory,
// what is left is mapped when it is touched. Returns how many bytes were mapped.
uint64_t VcpuThread::pre_fault_targets(const std::vector<remap::Range>& targets) {
    uint64_t done = 0;
    try {
        for (const remap::Range& range : crew_.remapper.resident_in(targets)) {
            vcpu_->pre_fault(range.start().value, range.size().bytes);
            done += range.size().bytes;
        }
    } catch (const std::system_error&) {
    } catch (const std::bad_alloc&) {
    }
    return done;
}

void VcpuThread::die(const std::string& reason) {
    throw GuestDied(post_mortem(reason, index_, vcpu_->registers(), vcpu_->special_registers(), log_));
}

}  // namespace gpremap
