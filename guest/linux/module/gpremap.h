/*
 * What a program of a Linux guest does with /dev/gpremap: calls, the guest's physical memory in its own address space, and RAM
 * that comes and goes. Valid C11, and C++20; the module includes it, too. docs/linux-guest.md explains it, with an example.
 *
 * Only root may open the device. Every ioctl returns 0, or -1 with errno: what a call of the VMM has come to is in its structure.
 *
 *     int fd = open(GPREMAP_DEVICE, O_RDWR);
 *     struct gpremap_linux_world world;
 *     ioctl(fd, GPREMAP_IOC_WORLD, &world);
 *     char* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
 *
 * mmap: the offset is a guest-physical address in the aperture, MAP_SHARED is a must. What is mapped there now or later is
 * seen; where there is nothing, or not with the right that an access needs, it gets a SIGBUS with its address. A mapping with
 * PROT_EXEC shows nothing but memory that may be executed. The kernel's own accesses on behalf of the process (read(2) into a hole) are
 * EFAULT. There are no `struct page`s, so what takes references to pages (O_DIRECT, RDMA, vmsplice) is EFAULT.
 */
#ifndef GPREMAP_GUEST_LINUX_MODULE_GPREMAP_H
#define GPREMAP_GUEST_LINUX_MODULE_GPREMAP_H

#include "guest/abi/linux.h"
#ifdef __KERNEL__
#include <linux/ioctl.h>
#else
#include <errno.h>
#include <sys/ioctl.h>
#endif

#define GPREMAP_DEVICE "/dev/gpremap"

/* A control call of the agent (below 0x100). */
struct gpremap_agent_call {
    uint64_t vcpu; /* the processor that the thread is bound to */
    struct gpremap_batch_call call;
};

struct gpremap_plug {
    uint64_t
        size; /* bytes, a multiple of the kernel's memory blocks (/sys/devices/system/memory/block_size_bytes) */
    uint64_t at; /* set: where it is */
};

struct gpremap_unplug {
    uint64_t at; /* the end of a range that has been plugged, in whole blocks */
    uint64_t size;
    uint64_t milliseconds; /* that it may take */
    uint64_t unplugged;    /* set: bytes, from the end; less than `size`: the rest is as it was */
};

/* What is where in the VM. */
#define GPREMAP_IOC_WORLD _IOR('g', 0x40, struct gpremap_linux_world)
/* A call that remaps (0x100 and above): `result` is set. Structures that `query` and `batch` are given lie in the process,
   anywhere. EINVAL: a control call. A call about RAM that is plugged has the result -EBUSY. */
#define GPREMAP_IOC_CALL _IOWR('g', 0x41, struct gpremap_batch_call)
/* For the first process alone that uses it, as long as it has the device open; to others EBUSY. `next` waits until there is
   a step; EINTR: a signal came first. EXDEV: the thread is on another processor than `vcpu`. */
#define GPREMAP_IOC_AGENT _IOWR('g', 0x42, struct gpremap_agent_call)
/* Maps memory, as high in the aperture as it fits, and adds it to the System RAM; it is online as memhp_default_state says.
   EINVAL: not in whole blocks; ENOSPC: no room in the aperture; ENOMEM: the host has not as much. */
#define GPREMAP_IOC_PLUG _IOWR('g', 0x43, struct gpremap_plug)
/* Takes RAM away block by block, from the end, and unmaps it. 0: `unplugged` is set, and not 0. Where not one block could be
   taken: EBUSY, what is there cannot be moved; ETIMEDOUT, not in time. EINVAL: not in whole blocks; ENOENT: it is not the end of
   a range that has been plugged. */
#define GPREMAP_IOC_UNPLUG _IOWR('g', 0x44, struct gpremap_unplug)

#ifndef __KERNEL__
/* The result of a call, or -errno. */
static inline int64_t gpremap_device_call(int fd, uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2,
                                          uint64_t a3, uint64_t a4, uint64_t a5) {
    struct gpremap_batch_call call = {number, {a0, a1, a2, a3, a4, a5}, 0};
    return ioctl(fd, GPREMAP_IOC_CALL, &call) ? -errno : call.result;
}
#endif

#endif
