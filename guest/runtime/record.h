/*
 * How a workload leaves what it measures in its area (guest/abi/workload.h): by stores alone, no exit. Valid C11,
 * and C++20: the agent's workloads and a user's program record alike.
 *
 *     gpremap_operation_begins(area, gpremap_timestamp());
 *     ... the operation ...
 *     gpremap_operation_ends(area, bytes);
 */
#ifndef GPREMAP_GUEST_RUNTIME_RECORD_H
#define GPREMAP_GUEST_RUNTIME_RECORD_H

#include "guest/abi/workload.h"
#include "guest/runtime/architecture.h"

static inline struct gpremap_area* gpremap_area_of(uint64_t vcpu) {
    return (struct gpremap_area*)(uintptr_t)(GPREMAP_WORKLOADS + vcpu * GPREMAP_AREA_SIZE);
}

/* ---- calls in progress ---- */

static inline struct gpremap_calls* gpremap_calls_of_all(void) {
    return (struct gpremap_calls*)(uintptr_t)GPREMAP_CALLS_ADDRESS;
}

static inline void gpremap_call_begins(void) {
    __atomic_fetch_add(&gpremap_calls_of_all()->begun, 1, __ATOMIC_SEQ_CST);
}

static inline void gpremap_call_ends(void) {
    __atomic_fetch_add(&gpremap_calls_of_all()->ended, 1, __ATOMIC_SEQ_CST);
}

/* How many have begun; all ones while one is in progress. */
static inline uint64_t gpremap_calls_now(void) {
    uint64_t ended = __atomic_load_n(&gpremap_calls_of_all()->ended, __ATOMIC_ACQUIRE);
    uint64_t begun = __atomic_load_n(&gpremap_calls_of_all()->begun, __ATOMIC_ACQUIRE);
    return begun == ended ? begun : ~UINT64_C(0);
}

/* ---- the histogram ---- */

static inline uint64_t gpremap_nanoseconds(const struct gpremap_workload* workload, uint64_t ticks) {
    return (uint64_t)((unsigned __int128)ticks * workload->ns_per_tick >> 32);
}

static inline uint64_t gpremap_bucket_of(uint64_t ns) {
    uint64_t shift = 53 - (uint64_t)__builtin_clzll(ns | 2047); /* 0 below 2048 */
    uint64_t bucket = (shift << 10) + (ns >> shift);
    return bucket < GPREMAP_BUCKETS ? bucket : GPREMAP_BUCKETS - 1;
}

/* ---- rings: the host reads what lies before their count ---- */

static inline void gpremap_sample_taken(struct gpremap_area* area, uint64_t now) {
    struct gpremap_workload* workload = &area->workload;
    struct gpremap_sample* row = &area->sample[workload->samples % GPREMAP_SAMPLES];
    row->tsc = now;
    row->operations = workload->operations;
    row->bytes = workload->bytes;
    row->longest = workload->longest;
    workload->longest = 0;
    __atomic_store_n(&workload->samples, workload->samples + 1, __ATOMIC_RELEASE);
}

static inline void gpremap_event_seen(struct gpremap_area* area, uint64_t name, uint64_t begin,
                                      uint64_t end) {
    struct gpremap_workload* workload = &area->workload;
    struct gpremap_event* event = &area->event[workload->events % GPREMAP_EVENTS];
    event->begin = begin;
    event->ticks = end - begin;
    event->name = name;
    __atomic_store_n(&workload->events, workload->events + 1, __ATOMIC_RELEASE);
}

/* ---- operations ---- */

/* `begin` is where its latency counts from: now, or when it was planned. */
static inline void gpremap_operation_begins(struct gpremap_area* area, uint64_t begin) {
    area->workload.calls = gpremap_calls_now();
    area->workload.started = begin;
    if (area->workload.begun == 0) area->workload.begun = begin;
}

/* Counts `parts` of them, that took the same time each, as that many operations. Returns the time. */
static inline uint64_t gpremap_operations_end(struct gpremap_area* area, uint64_t parts, uint64_t bytes) {
    struct gpremap_workload* workload = &area->workload;
    uint64_t now = gpremap_timestamp();
    uint64_t ticks = (now - workload->started) / parts;
    uint64_t calls = gpremap_calls_now();
    int quiet = calls == workload->calls && calls != ~UINT64_C(0);
    (quiet ? area->quiet : area->beside)[gpremap_bucket_of(gpremap_nanoseconds(workload, ticks))] += parts;
    if (ticks > workload->longest) workload->longest = ticks;
    workload->started = 0;
    workload->ended = now;
    workload->bytes += bytes;
    __atomic_store_n(&workload->operations, workload->operations + parts, __ATOMIC_RELEASE);
    if (workload->sample && now >= workload->next_sample) {
        if (workload->next_sample) gpremap_sample_taken(area, now);
        workload->next_sample = now + workload->sample;
    }
    return now;
}

static inline uint64_t gpremap_operation_ends(struct gpremap_area* area, uint64_t bytes) {
    return gpremap_operations_end(area, 1, bytes);
}

/* ---- the place ---- */

static inline int gpremap_is_to_stop(const struct gpremap_workload* workload) {
    return __atomic_load_n(&workload->stop, __ATOMIC_ACQUIRE) != 0;
}

struct gpremap_place {
    uint64_t at;
    uint64_t size; /* 0: there is none now */
};

/* The place as it is now; `number` is that of the change which has made it so. */
static inline struct gpremap_place gpremap_read_place(const struct gpremap_workload* workload,
                                                      uint64_t* number) {
    struct gpremap_place place;
    uint64_t after;
    do {
        *number = __atomic_load_n(&workload->place, __ATOMIC_ACQUIRE);
        place.at = __atomic_load_n(&workload->at, __ATOMIC_ACQUIRE);
        place.size = __atomic_load_n(&workload->size, __ATOMIC_ACQUIRE);
        after = __atomic_load_n(&workload->place, __ATOMIC_ACQUIRE);
    } while (*number != after || after % 2);
    return place;
}

/* Nothing is done any more with what the place was before that change. */
static inline void gpremap_let_go(struct gpremap_workload* workload, uint64_t number) {
    __atomic_store_n(&workload->seen, number, __ATOMIC_RELEASE);
}

/* By a vCPU whose call has changed it. */
static inline void gpremap_put_place(struct gpremap_workload* workload, uint64_t at, uint64_t size) {
    __atomic_store_n(&workload->place, workload->place + 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&workload->at, at, __ATOMIC_SEQ_CST);
    __atomic_store_n(&workload->size, size, __ATOMIC_SEQ_CST);
    __atomic_store_n(&workload->place, workload->place + 1, __ATOMIC_SEQ_CST);
}

#endif
