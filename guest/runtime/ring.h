/* Calls through a ring (guest/abi/ring.h) that the vCPU has set up. One vCPU's, by one thread of it. Valid C11, and C++20. */
#ifndef GPREMAP_GUEST_RUNTIME_RING_H
#define GPREMAP_GUEST_RUNTIME_RING_H

#include "guest/abi/ring.h"
#include "guest/runtime/call.h"

#ifdef __cplusplus
#define GPREMAP_RING_BELL ((uint64_t)gpremap::abi::Call::ring_bell)
#else
#define GPREMAP_RING_BELL ((uint64_t)gpremap_ring_bell)
#endif
#define GPREMAP_RING_FAILED INT64_C(-71) /* -EPROTO */

/* Hands `count` calls to the host at once. 0 where the ring has no room for them: collect first. */
static inline int gpremap_ring_submit(struct gpremap_ring* ring, const struct gpremap_ring_call* calls,
                                      uint32_t count) {
    const uint32_t submitted = ring->submitted;
    if (count > GPREMAP_RING_ENTRIES || submitted - ring->collected > GPREMAP_RING_ENTRIES - count) return 0;
    for (uint32_t i = 0; i < count; i++) ring->call[(submitted + i) % GPREMAP_RING_ENTRIES] = calls[i];
    __atomic_store_n(&ring->submitted, submitted + count, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&ring->state, __ATOMIC_RELAXED) & GPREMAP_RING_ASLEEP)
        gpremap_hypercall(GPREMAP_RING_BELL, 0, 0, 0, 0, 0, 0);
    return 1;
}

/* The next result, in the order of the calls. 0 where it has not come yet. */
static inline int gpremap_ring_collect(struct gpremap_ring* ring, struct gpremap_ring_result* result) {
    const uint32_t collected = ring->collected;
    if (__atomic_load_n(&ring->completed, __ATOMIC_ACQUIRE) == collected) return 0;
    *result = ring->result[collected % GPREMAP_RING_ENTRIES];
    __atomic_store_n(&ring->collected, collected + 1, __ATOMIC_RELEASE);
    return 1;
}

/* Makes one call and waits for it, with no other under way. -EPROTO where the ring is broken. */
static inline int64_t gpremap_ring_make(struct gpremap_ring* ring, const struct gpremap_ring_call* call) {
    struct gpremap_ring_result result;
    if (!gpremap_ring_submit(ring, call, 1)) return GPREMAP_RING_FAILED;
    while (!gpremap_ring_collect(ring, &result)) {
        if (__atomic_load_n(&ring->state, __ATOMIC_RELAXED) & GPREMAP_RING_BROKEN) return GPREMAP_RING_FAILED;
        gpremap_pause();
    }
    return result.result;
}

#endif
