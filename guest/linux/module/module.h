/*
 * What the sources of gpremap.ko know of each other.
 *
 * Two things must never be: an entry of a process's page table for what is a hole, since the access ends the VM; and one
 * with more rights than the VMM gives. So who makes a call that may take memory away holds `lock` for writing from before the
 * process's entries are zapped until the call has returned, and a fault that makes an entry holds it for reading from before it asks
 * what is there until the entry is made.
 */
#ifndef GPREMAP_GUEST_LINUX_MODULE_MODULE_H
#define GPREMAP_GUEST_LINUX_MODULE_MODULE_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/rwsem.h>
#include <linux/types.h>

#ifndef UINT64_C
#define UINT64_C(value) value##ULL
#endif

#include "guest/linux/module/gpremap.h"
#include "guest/runtime/call.h"

struct gpremap {
    struct gpremap_linux_world world;
    uint64_t granule; /* bytes: what calls round to */
    struct rw_semaphore lock;
    struct inode* inode; /* of the first open: the mappings of all are in its address space; or NULL */

    /* how often, for sysfs */
    atomic64_t small_faults, huge_faults, refused_faults;
    atomic64_t zaps, calls, interrupts;
};
extern struct gpremap gpremap;

/* Addresses, in bytes; `end` is the first that is not in it. */
struct gpremap_range {
    uint64_t at;
    uint64_t end;
};

static inline bool gpremap_in_aperture(uint64_t at) {
    return at - gpremap.world.aperture_base < gpremap.world.aperture_size;
}

/* calls.c. `call` has been copied in, and `user` is where it came from. */
int64_t gpremap_make_call(struct gpremap_batch_call* call);
void gpremap_zap(struct gpremap_range range); /* with `lock` held for writing */

/* aperture.c */
int gpremap_hold_caching(void);
void gpremap_release_caching(void);
int gpremap_mmap_aperture(struct vm_area_struct* vma);

/* ram.c */
long gpremap_plug(struct gpremap_plug* plug);
long gpremap_unplug(struct gpremap_unplug* unplug);
bool gpremap_is_plugged(struct gpremap_range range); /* with `lock` held */
ssize_t gpremap_list_plugged(char* text);

/* agent.c */
int gpremap_begin_interrupts(void);
void gpremap_end_interrupts(void);
long gpremap_agent_call(struct file* file, struct gpremap_agent_call* call);
int gpremap_mmap_agent(struct file* file, struct vm_area_struct* vma);
void gpremap_forget_agent(struct file* file);

#endif
