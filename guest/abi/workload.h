/*
 * The contract of workloads: what runs on a vCPU of its own while steps run on others, where it finds its memory,
 * and where it leaves what it measures. Valid C11, and C++20: the agent and a user's own program include it alike.
 * The version rule is that of hypercall.h.
 *
 * Nothing here needs an exit: the host reads the area of a workload while it runs. Times are in ticks of the
 * guest's TSC.
 */
#ifndef GPREMAP_GUEST_ABI_WORKLOAD_H
#define GPREMAP_GUEST_ABI_WORKLOAD_H

#include <stdint.h>

/* ---- where things lie in the agent's memory, which is never remapped ---- */

#define GPREMAP_CALLS_ADDRESS UINT64_C(0x2000000) /* struct gpremap_calls */
#define GPREMAP_WORKLOADS UINT64_C(0x2200000)     /* a struct gpremap_area for each vCPU: */
#define GPREMAP_AREA_SIZE UINT64_C(0x200000)
#define GPREMAP_PROGRAMS UINT64_C(0x4000000) /* a user's program for each vCPU, its stack at the end: */
#define GPREMAP_PROGRAM_SIZE UINT64_C(0x400000)
#define GPREMAP_PROGRAM_STACK UINT64_C(0x40000)

/* Remapping calls of all vCPUs: one is in progress where the two differ. */
struct gpremap_calls {
    uint64_t begun;
    uint64_t ended;
};

/* ---- what a workload does, and how ---- */

enum gpremap_workload_kind {
    GPREMAP_STREAM = 1,  /* copy, scale, add, triad over thirds of the range */
    GPREMAP_CHASE = 2,   /* loads, each of which needs what the one before has found */
    GPREMAP_TOUCH = 3,   /* a load or a store in one page after the other */
    GPREMAP_VERIFY = 4,  /* every page holds a stamp and a count; both must be there when it comes again */
    GPREMAP_JITTER = 5,  /* looks at the clock */
    GPREMAP_PROGRAM = 6, /* a program of the user's, see guest/runtime/program.h */
};

enum gpremap_access { GPREMAP_SEQUENTIAL = 0, GPREMAP_RANDOM = 1, GPREMAP_ZIPF = 2 };

/*
 * Latencies in nanoseconds, log-linear: three digits everywhere (HDR).
 *
 *     below 2048 ns        one bucket a nanosecond
 *     2^n ... 2^(n+1) ns   1024 buckets, for n = 11 ... 36
 *
 * What is longer, about 137 seconds, counts in the last bucket.
 */
#define GPREMAP_BUCKETS 28672

#define GPREMAP_BUSY 1 /* no address of a place */

#define GPREMAP_SAMPLES 16384 /* rows that the ring holds until the host has read them */
#define GPREMAP_EVENTS 16384
#define GPREMAP_EVENT_NAMES 8
#define GPREMAP_VALUES 16
#define GPREMAP_NAME_SIZE 24 /* bytes, with the zero at the end */

/* One row of the time series: what has been done since the workload began. */
struct gpremap_sample {
    uint64_t tsc;
    uint64_t operations;
    uint64_t bytes;
    uint64_t longest; /* operation since the row before, in ticks */
};

struct gpremap_event {
    uint64_t begin; /* TSC */
    uint64_t ticks;
    uint64_t name; /* index */
};

struct gpremap_value {
    char name[GPREMAP_NAME_SIZE];
    uint64_t value;
};

struct gpremap_workload {
    /* The host's, before the workload begins. */
    uint64_t kind;
    uint64_t access;
    uint64_t writes;   /* of 65,536 operations, how many write */
    uint64_t interval; /* between planned begins of operations, in ticks / 65,536; 0: one after the other */
    uint64_t sample;   /* ticks between rows of the series; 0: none */
    uint64_t gap;      /* jitter: the shortest that is an event, in ticks */
    uint64_t ns_per_tick; /* in 2^-32 ns */
    uint64_t seed;
    uint64_t argument_count; /* program: texts that end with a zero each, one after the other */
    char arguments[1024];

    /*
     * The place: written by the host and by the vCPU whose call changes it, never by both at once. `place` counts
     * changes, and is odd during one. The size is 0 while there is nothing to work on: then `at` is GPREMAP_BUSY
     * where this is for the time of a call, for which the workload waits.
     */
    uint64_t place;
    uint64_t at;
    uint64_t size;
    uint64_t stop; /* 1: the workload is to end */

    /* The workload's, 0 before it begins. */
    uint64_t seen; /* the `place` that it works with: it has let go of all earlier ones */
    uint64_t begun;
    uint64_t ended; /* TSC of the end of the last operation */
    uint64_t operations;
    uint64_t bytes;
    uint64_t faults;
    uint64_t longest; /* since the last row of the series, ticks */
    uint64_t samples; /* rows written since the beginning */
    uint64_t events;  /* the same */
    uint64_t values;
    struct gpremap_value value[GPREMAP_VALUES];
    uint64_t event_names;
    char event_name[GPREMAP_EVENT_NAMES][GPREMAP_NAME_SIZE];
    char problem[128]; /* program: why it has failed */

    /* Its state, which outlasts a fault. */
    uint64_t started; /* TSC of the begin of the operation under way, 0 for none */
    uint64_t calls;   /* gpremap_calls then */
    uint64_t planned; /* begin of the next operation, as `interval` */
    uint64_t next_sample;
    uint64_t random;
    uint64_t cursor;
    uint64_t round;
    uint64_t done[4];  /* stream: bytes of copy, scale, add, triad */
    uint64_t ticks[4]; /* and how long they have taken */
};

struct gpremap_area {
    union {
        struct gpremap_workload workload;
        char page[4096];
    };
    uint64_t quiet[GPREMAP_BUCKETS];  /* operations beside no call */
    uint64_t beside[GPREMAP_BUCKETS]; /* those that a call was in progress with, of any vCPU */
    struct gpremap_sample sample[GPREMAP_SAMPLES];
    struct gpremap_event event[GPREMAP_EVENTS];
};

#ifdef __cplusplus
static_assert(sizeof(gpremap_workload) <= 4096 && sizeof(gpremap_area) <= GPREMAP_AREA_SIZE);
#else
_Static_assert(sizeof(struct gpremap_workload) <= 4096 && sizeof(struct gpremap_area) <= GPREMAP_AREA_SIZE,
               "the area of a workload is too small");
#endif

#endif
