#include "vmm/bench/neighbour.h"

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <thread>

#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

constexpr unsigned neighbouring_vcpu = 1;
constexpr uint64_t page = 4096;  // bytes
// An access that is retried while its range moves faults once or twice.
constexpr uint64_t most_faults_in_a_row = 100;
constexpr auto longest_round = std::chrono::seconds(10);

}  // namespace

Neighbour::Neighbour(Rig& rig, abi::FaultKind access, const std::array<uint64_t, 2>& places, uint64_t size)
    : rig_(rig), access_(access), places_(places), pages_(size / page) {}

void Neighbour::start() {
    abi::Pulse pulse = {};
    pulse.place[0] = places_[0];
    pulse.place[1] = places_[1];
    pulse.words = pages_;
    pulse.stride = page;
    pulse.reads = access_ == abi::FaultKind::read;
    if (!rig_.machine().guest().write(layout::shared, &pulse, sizeof pulse))
        throw std::logic_error("the pulse is outside the agent's memory");
    rig_.machine().start(neighbouring_vcpu, order::pulse(layout::shared, most_faults_in_a_row));
}

abi::Pulse Neighbour::read() const {
    abi::Pulse pulse;
    if (!rig_.machine().guest().read(layout::shared, &pulse, sizeof pulse))
        throw std::logic_error("the pulse is outside the agent's memory");
    return pulse;
}

void Neighbour::wait_for_a_round() {
    const uint64_t before = read().accesses;
    const auto begin = std::chrono::steady_clock::now();
    while (read().accesses - before <= pages_) {
        if (std::chrono::steady_clock::now() - begin > longest_round)
            throw std::runtime_error("bench: the vCPU beside it does not get on");
        std::this_thread::yield();
    }
}

uint64_t Neighbour::stop() {
    constexpr uint64_t yes = 1;
    if (!rig_.machine().guest().write(layout::shared + offsetof(abi::Pulse, stop), &yes, sizeof yes))
        throw std::logic_error("the pulse is outside the agent's memory");
    const Performed done = rig_.machine().finish(neighbouring_vcpu);
    const uint64_t ticks = done.report.tsc_end - done.report.tsc_begin;
    const auto longest = static_cast<uint64_t>(done.report.result);
    if (done.report.outcome != abi::Outcome::ok || longest == 0 || longest > ticks)
        throw std::runtime_error("bench: the vCPU beside it reports what cannot be");
    return static_cast<uint64_t>(static_cast<double>(longest) * static_cast<double>(done.guest_ns) /
                                 static_cast<double>(ticks));
}

}  // namespace gpremap
