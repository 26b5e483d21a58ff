#include "guest/agent/workloads/pulse.h"

#include "guest/runtime/architecture.h"
#include "guest/runtime/call.h"

namespace gpremap {
namespace {

using namespace abi;

Pulse& pulse_of(const Step& step) {
    return *reinterpret_cast<Pulse*>(step.arg[0]);
}

void access_once(Pulse& pulse) {
    uint64_t index = pulse.accesses % pulse.words;
    auto& word = *reinterpret_cast<volatile uint64_t*>(pulse.place[pulse.here] + index * pulse.stride);
    if (pulse.reads)
        asm volatile("" : : "r"(word));
    else
        word = pulse.accesses;
    uint64_t now = gpremap_timestamp();
    if (pulse.accesses > 0 && now - pulse.last > pulse.longest) pulse.longest = now - pulse.last;
    pulse.last = now;
    pulse.faults_in_a_row = 0;
    __atomic_store_n(&pulse.accesses, pulse.accesses + 1, __ATOMIC_RELEASE);
}

}  // namespace

int64_t pulse(const Step& step) {
    Pulse& pulse = pulse_of(step);
    if (pulse.words == 0) return error_einval;
    while (!__atomic_load_n(&pulse.stop, __ATOMIC_ACQUIRE)) access_once(pulse);
    return static_cast<int64_t>(pulse.longest);
}

bool pulse_goes_on_after(const Fault& fault, const Step& step) {
    if (step.op != Op::pulse || fault.cause != FaultCause::stage2) return false;
    Pulse& pulse = pulse_of(step);
    pulse.here = 1 - pulse.here;
    pulse.faults++;
    return ++pulse.faults_in_a_row <= step.arg[1];
}

}  // namespace gpremap
