/*
 * The run-time of a program of yours that runs as a workload (docs/guest-programs.md). Valid C11, and C++20.
 *
 *     int gpremap_main(int argc, char **argv) {
 *         int64_t at = gpremap_call(0x100, 0, 1 << 20, GPREMAP_PROT_READ | GPREMAP_PROT_WRITE, GPREMAP_FLAG_ANYWHERE);
 *         while (!gpremap_is_stopping()) {
 *             gpremap_begin();
 *             ... one operation ...
 *             gpremap_end(8);
 *         }
 *         return 0;
 *     }
 *
 * There is no operating system below it: no library, no system calls, no threads. Memory comes from calls. What it
 * records goes to memory that the host reads: nothing here but gpremap_call leaves the guest.
 */
#ifndef GPREMAP_GUEST_RUNTIME_PROGRAM_H
#define GPREMAP_GUEST_RUNTIME_PROGRAM_H

#include <stddef.h>

#include "guest/runtime/call.h"
#include "guest/runtime/record.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Yours. `argv` are the workload's `arguments`. Anything but 0 fails the run. */
int gpremap_main(int argc, char** argv);

/* Where it records; set before gpremap_main. */
extern struct gpremap_area* gpremap_self;

/* A call of the VMM (enum gpremap_call): the result, or -errno. Structures that it is given lie in the program. */
int64_t gpremap_call(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4);

/* Whether the run is over: return from gpremap_main then, within ten seconds. */
int gpremap_is_stopping(void);

/* ---- what it measures ---- */

/* Around one operation: its latency counts, and `bytes` to its throughput. */
void gpremap_begin(void);
void gpremap_end(uint64_t bytes);
/* Something that took from `begin` to `end`, by gpremap_timestamp(). At most GPREMAP_EVENT_NAMES names, of up to 23
   characters. */
void gpremap_note_event(const char* name, uint64_t begin, uint64_t end);
/* A number of its own in the result; the last one counts. At most GPREMAP_VALUES names. */
void gpremap_note_value(const char* name, uint64_t value);
/* Why it fails: `return gpremap_fail("...");` */
int gpremap_fail(const char* why);

uint64_t gpremap_ns(uint64_t ticks);

/* The range that the workload states, where it states one; its size is 0 while there is none. Steps that move or
   resize it do not wait for the program to look. */
struct gpremap_place gpremap_range(void);

/* ---- what a C library would have ---- */

void* memcpy(void* __restrict to, const void* __restrict from, size_t size);
void* memset(void* to, int byte, size_t size);
int gpremap_same_text(const char* a, const char* b);
uint64_t gpremap_number(const char* digits); /* decimal; 0 for anything else */

#ifdef __cplusplus
}

inline int64_t gpremap_call(gpremap::abi::Call number, uint64_t a0 = 0, uint64_t a1 = 0, uint64_t a2 = 0,
                            uint64_t a3 = 0, uint64_t a4 = 0) {
    return gpremap_call(static_cast<uint64_t>(number), a0, a1, a2, a3, a4);
}
#endif

#endif
