#include "vmm/machine/guest_clock.h"

#include <cstdlib>

#include "vmm/machine/machine.h"

namespace gpremap {

namespace {

using std::chrono::nanoseconds;

constexpr unsigned visits = 50;

}  // namespace

GuestClock::GuestClock(Machine& machine, unsigned vcpu)
    : tsc_khz_(machine.guest().tsc_khz(vcpu)), error_(nanoseconds::max()) {
    constexpr abi::Step nothing = {};
    for (unsigned i = 0; i < visits; i++) {
        const Performed done = machine.perform(vcpu, nothing);
        const nanoseconds width = done.visit.left - done.visit.entered;
        if (width / 2 >= error_) continue;
        error_ = width / 2;
        host_ = done.visit.entered + width / 2;
        tsc_ = done.report.tsc_begin + (done.report.tsc_end - done.report.tsc_begin) / 2;
    }
}

GuestClock::HostTime GuestClock::host_time(uint64_t tsc) const {
    const bool is_later = tsc >= tsc_;
    const nanoseconds distance(to_ns(is_later ? tsc - tsc_ : tsc_ - tsc));
    return is_later ? host_ + distance : host_ - distance;
}

uint64_t GuestClock::tsc_at(HostTime time) const {
    return time >= host_ ? tsc_ + ticks(time - host_) : tsc_ - ticks(host_ - time);
}

uint64_t GuestClock::ticks(nanoseconds duration) const {
    return static_cast<uint64_t>(static_cast<double>(duration.count()) * tsc_khz_ / 1e6);
}

uint64_t GuestClock::to_ns(uint64_t ticks) const {
    return static_cast<uint64_t>(static_cast<double>(ticks) * 1e6 / tsc_khz_);
}

nanoseconds GuestClock::drift(const GuestClock& later) const {
    const nanoseconds difference = host_time(later.tsc_) - later.host_;
    return difference < nanoseconds(0) ? -difference : difference;
}

}  // namespace gpremap
