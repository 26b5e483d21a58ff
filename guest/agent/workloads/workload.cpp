#include "guest/agent/workloads/workload.h"

#include "guest/agent/workloads/kinds.h"
#include "guest/agent/workloads/loop.h"
#include "guest/runtime/call.h"

namespace gpremap {
namespace {

// How long a workload waits for the word that its range has moved, before it takes a fault for its end.
constexpr uint64_t patience = 5'000'000'000;  // ns

// Every page that is going to be written, so that no operation waits for one. What it holds stays.
void touch_area(gpremap_area& area) {
    auto* bytes = reinterpret_cast<volatile unsigned char*>(&area);
    for (uint64_t i = 0; i < sizeof area; i += workload_page) bytes[i] = bytes[i];
}

}  // namespace

extern "C" int64_t enter_program(uint64_t entry, gpremap_area* area, uint64_t stack_top);

int64_t run_workload(const abi::Step& step, abi::Report& report, uint64_t vcpu) {
    gpremap_area& area = *gpremap_area_of(vcpu);
    if (area.workload.begun == 0) touch_area(area);
    if (area.workload.kind == GPREMAP_PROGRAM)
        return enter_program(step.arg[0], &area, GPREMAP_PROGRAMS + (vcpu + 1) * GPREMAP_PROGRAM_SIZE);
    return run_kind(area, report) ? static_cast<int64_t>(area.workload.operations) : error_einval;
}

bool workload_goes_on_after(const abi::Fault& fault, const abi::Step& step, uint64_t vcpu) {
    if (step.op != abi::Op::workload || fault.cause != abi::FaultCause::stage2) return false;
    gpremap_workload& workload = gpremap_area_of(vcpu)->workload;
    if (workload.kind == GPREMAP_PROGRAM) return false;
    workload.faults++;
    const uint64_t begin = gpremap_timestamp();
    while (__atomic_load_n(&workload.place, __ATOMIC_ACQUIRE) == workload.seen) {
        if (gpremap_is_to_stop(&workload)) return false;
        if (gpremap_nanoseconds(&workload, gpremap_timestamp() - begin) > patience) return false;
        pause_briefly();
    }
    return true;
}

void tell_followers(const abi::Step& step, int64_t result) {
    if (gpremap_is_error(result)) return;
    for (uint64_t i = 0; i < step.followers && i < abi::max_vcpus; i++) {
        const abi::Follower& follower = step.follower[i];
        if (follower.vcpu >= abi::max_vcpus) continue;
        const uint64_t base = follower.from_result ? static_cast<uint64_t>(result) : 0;
        gpremap_put_place(&gpremap_area_of(follower.vcpu)->workload, base + follower.at, follower.size);
    }
}

}  // namespace gpremap
