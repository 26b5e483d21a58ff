// What vCPUs that run cost a thread of the host that changes memory, in ns.
//
// The kernel flushes TLBs by a call to every processor that runs a thread of the process; where that is a vCPU in guest
// mode, the flush waits until it is out, and the vCPU starts again:
//
//     not paused   host   change, flush .... change, flush .... change, flush ....
//                  vCPU   ------> exit, enter --> exit, enter --> exit, enter ->
//
//     paused       host   kick .... change, flush, change, flush, change, flush, let in
//                  vCPU   ----> exit ............................................. enter ->
//
// Which is shorter depends on the host (an exit takes 2 us on bare metal, 50 us and more where the host is a VM
// itself) and on the number of flushes. So both are measured.
#pragma once

#include <cstdint>
#include <optional>

namespace gpremap {

class Vm;

struct PauseCosts {
    uint64_t flush_ns = 0;  // of one flush, while the vCPUs run
    uint64_t pause_ns = 0;  // of pausing them and letting them go on

    // Whether pausing for a change with so many flushes takes less time than not to.
    bool pausing_is_shorter(uint64_t flushes) const { return flushes * flush_ns > pause_ns; }
};

// The medians of a few, about a millisecond in all; changes nothing of the guest's. `vcpu` as in Vm::pause_others.
// Nothing where the others have not run for as long, or there is no memory to try it on.
std::optional<PauseCosts> measure_pause_costs(Vm& vm, unsigned vcpu);

}  // namespace gpremap
