// Looks at the clock without a break: what the vCPU does not get to see was taken from it. The rows of its series,
// one a quantum, say how often it came to look: fixed time quanta.
#include "guest/agent/workloads/kinds.h"
#include "guest/agent/workloads/loop.h"

namespace gpremap {

void jitter(gpremap_area& area) {
    gpremap_workload& workload = area.workload;
    uint64_t previous = gpremap_timestamp();
    while (!gpremap_is_to_stop(&workload)) {
        gpremap_operation_begins(&area, previous);
        const uint64_t now = gpremap_operation_ends(&area, 0);
        if (now - previous >= workload.gap) gpremap_event_seen(&area, 0, previous, now);
        previous = now;
    }
}

}  // namespace gpremap
