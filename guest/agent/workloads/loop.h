// What the workloads have in common: one operation after the other, as fast as they can or as planned, on a range
// that others move and resize.
#pragma once

#include "guest/abi/agent.h"
#include "guest/runtime/record.h"

namespace gpremap {

inline constexpr uint64_t workload_page = 4096;

// What was stored is in memory, and what is loaded next comes from there: the access that follows may fault, and then
// the step is begun anew with what memory holds.
inline void settle_state() {
    asm volatile("" ::: "memory");
}

inline void pause_briefly() {
    gpremap_pause();
}

// xorshift: every value but 0 in turn.
inline uint64_t next_random(gpremap_workload& workload) {
    uint64_t x = workload.random ? workload.random : workload.seed | 1;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return workload.random = x;
}

// The begin of the next operation, from where its latency counts; 0 while it is not due. `previous` is the end of the
// one before, 0 for none.
inline uint64_t begin_of_next(gpremap_workload& workload, uint64_t previous) {
    if (workload.interval == 0) return previous ? previous : gpremap_timestamp();
    const uint64_t now = gpremap_timestamp();
    if (workload.planned == 0) workload.planned = now << 16;
    const uint64_t begin = workload.planned >> 16;
    if (now < begin) return 0;
    workload.planned += workload.interval;
    return begin;
}

// Operation has
//     uint64_t least                        bytes of the range that it needs
//     void notice(gpremap_workload&, place) where it has one: sees every place, also one that it does not come to use
//     void prepare(gpremap_workload&)       chooses what the next operation is about; keeps it in the state
//     bool operate(gpremap_area&, place)    does it, or does it once more after a fault; false: something is wrong
// Returns when it is to stop, or something is wrong.
template <typename Operation>
void run_operations(gpremap_area& area, Operation operation) {
    gpremap_workload& workload = area.workload;
    uint64_t previous = 0;
    while (!gpremap_is_to_stop(&workload)) {
        uint64_t number;
        const gpremap_place place = gpremap_read_place(&workload, &number);
        if constexpr (requires { operation.notice(workload, place); })
            if (place.at != GPREMAP_BUSY) operation.notice(workload, place);
        gpremap_let_go(&workload, number);
        if (place.size < operation.least) {
            if (place.at != GPREMAP_BUSY) {  // what waits for a call has a latency
                workload.started = 0;
                previous = 0;
            }
            pause_briefly();
            continue;
        }
        if (!workload.started) {
            const uint64_t begin = begin_of_next(workload, previous);
            if (!begin) {
                pause_briefly();
                continue;
            }
            operation.prepare(workload);
            gpremap_operation_begins(&area, begin);
        }
        settle_state();
        if (!operation.operate(area, place)) return;
        previous = workload.ended;
    }
}

}  // namespace gpremap
