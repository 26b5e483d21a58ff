/*
 * The ring: calls without an exit. A vCPU writes calls into memory of its own, a thread of the host reads them there,
 * makes them one after the other and writes what comes of them; the vCPU goes on meanwhile, or waits. Valid C11, and C++20.
 *
 *                 n = 5                       7 = submitted
 *     call     [ ... | made | waits | waits |      | ... ]      written by the vCPU, which then adds to `submitted`
 *     result   [ ... | done |       |       |      | ... ]      written by the host, which then adds to `completed`
 *
 * Counters only grow, and wrap at 2^32. Call n, and its result, is entry n % GPREMAP_RING_ENTRIES. There is a result for
 * each call, in the order of the calls; a vCPU that has read results adds to `collected`, which makes room for new ones.
 *
 * The thread sleeps when there is nothing to do for a while, and says so in `state`. Who has added to `submitted` looks
 * there afterwards, with a full fence in between, and makes the call `ring_bell` where it is asleep.
 */
#ifndef GPREMAP_GUEST_ABI_RING_H
#define GPREMAP_GUEST_ABI_RING_H

#include "guest/abi/hypercall.h"

#define GPREMAP_RING_ENTRIES 64 /* a power of two */

/* One call. `number` is that of any call that remaps, `query` and `batch` too. */
struct gpremap_ring_call {
    uint64_t number;
    uint64_t arg[6];
    uint64_t flags; /* GPREMAP_RING_LINKED */
    uint64_t tag;   /* comes back with the result */
};
/* This call and the next are one batch: all of them are made or none, and the host waits until the last is there. Native
   calls without `query` and `batch`. Where one fails, each of them has its errno. */
#define GPREMAP_RING_LINKED UINT64_C(1)

struct gpremap_ring_result {
    uint64_t tag;
    int64_t result; /* or -errno */
};

/* At a multiple of 64 in the guest's own memory; all zero when `ring` is called. */
struct gpremap_ring {
    /* of the vCPU */
    uint32_t submitted;
    uint32_t collected;
    uint8_t pad0[56];
    /* of the host */
    uint32_t completed;
    uint32_t state; /* GPREMAP_RING_ASLEEP, GPREMAP_RING_BROKEN, or 0 */
    uint8_t pad1[56];
    struct gpremap_ring_call call[GPREMAP_RING_ENTRIES];
    struct gpremap_ring_result result[GPREMAP_RING_ENTRIES];
};
#define GPREMAP_RING_ASLEEP 1
/* The counters made no sense: the host looks no more at this ring, until it is set up anew. */
#define GPREMAP_RING_BROKEN 2

#endif
