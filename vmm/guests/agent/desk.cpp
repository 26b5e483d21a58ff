#include "vmm/guests/agent/desk.h"

#include <cerrno>
#include <cstddef>
#include <stdexcept>
#include <utility>

#include "vmm/guests/agent/world.h"

namespace gpremap {

// ---- the host's side ----

void Desk::wait_until_ready() {
    while (!is_ready_within(std::chrono::hours(1))) {
    }
}

bool Desk::is_ready_within(std::chrono::milliseconds longest) {
    std::unique_lock lock(mutex_);
    const bool is = to_host_.wait_for(lock, longest, [&] { return phase_ != Phase::booting || cause_; });
    if (cause_) std::rethrow_exception(cause_);
    return is;
}

void Desk::begin(const abi::Step& step) {
    std::lock_guard lock(mutex_);
    if (cause_) std::rethrow_exception(cause_);
    if (phase_ != Phase::idle) throw std::logic_error("a step is started on a vCPU that has one");
    step_ = step;
    phase_ = Phase::assigned;
    to_vcpu_.notify_one();
}

Performed Desk::finish() {
    std::unique_lock lock(mutex_);
    if (phase_ == Phase::idle) throw std::logic_error("a vCPU has no step to finish");
    to_host_.wait(lock, [&] { return phase_ == Phase::reported || cause_; });
    if (phase_ != Phase::reported) std::rethrow_exception(cause_);
    phase_ = Phase::idle;
    return std::move(performed_);
}

bool Desk::wait_until_done(std::chrono::milliseconds longest) {
    std::unique_lock lock(mutex_);
    return to_host_.wait_for(lock, longest, [&] { return phase_ == Phase::reported || cause_; });
}

void Desk::require_idle() {
    std::lock_guard lock(mutex_);
    if (cause_) std::rethrow_exception(cause_);
    if (phase_ != Phase::idle) throw std::logic_error("the vCPU has a step to do");
}

void Desk::stop(std::exception_ptr cause) {
    std::lock_guard lock(mutex_);
    if (!cause_) cause_ = cause;
    stopping_ = true;
    to_host_.notify_all();
    to_vcpu_.notify_all();
}

// ---- the vCPU's side ----

std::optional<int64_t> Desk::take_step(Activity& activity, WhenNone when_none) {
    std::unique_lock lock(mutex_);
    if (phase_ == Phase::working) return -EINVAL;
    if (phase_ == Phase::booting) {
        phase_ = Phase::idle;
        to_host_.notify_all();
    }
    if (when_none == WhenNone::wait)
        to_vcpu_.wait(lock, [&] { return phase_ == Phase::assigned || stopping_; });
    if (stopping_) return std::nullopt;
    if (phase_ != Phase::assigned) return -EAGAIN;
    phase_ = Phase::working;
    activity = {};
    kvm_before_ = vm_.stats();
    if (!memory_.write(layout::mailbox(vcpu_) + offsetof(abi::Mailbox, step), &step_, sizeof step_))
        throw std::logic_error("the mailbox is outside the agent's memory");
    return 0;
}

Performed Desk::performed(const Activity& activity, uint32_t tsc_khz) const {
    Performed performed;
    if (!memory_.read(layout::mailbox(vcpu_) + offsetof(abi::Mailbox, report), &performed.report,
                      sizeof performed.report))
        throw std::logic_error("the mailbox is outside the agent's memory");
    uint64_t ticks = performed.report.tsc_end - performed.report.tsc_begin;
    performed.guest_ns = static_cast<uint64_t>(static_cast<double>(ticks) * 1e6 / tsc_khz);
    performed.kvm = vm_.stats();
    performed.kvm.faults -= kvm_before_.faults;
    performed.kvm.tlb_flushes -= kvm_before_.tlb_flushes;
    performed.kvm.exits -= kvm_before_.exits;
    performed.visit = activity.visit;
    performed.retries = activity.retries;
    performed.retries_in_a_row = activity.retries_in_a_row;
    performed.call = activity.call;
    return performed;
}

int64_t Desk::hand_in_report(const Activity& activity, uint32_t tsc_khz) {
    Performed done = performed(activity, tsc_khz);
    std::lock_guard lock(mutex_);
    if (phase_ != Phase::working) return -EINVAL;
    performed_ = std::move(done);
    phase_ = Phase::reported;
    to_host_.notify_all();
    return 0;
}

bool Desk::is_working() {
    std::lock_guard lock(mutex_);
    return phase_ == Phase::working;
}

}  // namespace gpremap
