/*
 * The contract of a Linux guest, beyond the hypercalls of every guest (hypercall.h): what its module and its init program
 * find in the VM. Valid C11, and C++20. The version rule is that of hypercall.h.
 *
 *     0            agent_base                     memory_end        aperture_base
 *     | real mode  | the agent: its image, its    | System RAM      | ...  what calls map: holes, memory
 *     | RAM, ACPI  | mailboxes, areas (agent.h)   | of the kernel   |      and System RAM that was plugged
 *
 * The agent's image is the one that runs in ring 3 without a kernel. Here it runs in a process, which sees the agent's memory
 * and the aperture at addresses that equal the guest-physical ones, a thread for each vCPU, bound to the processor of
 * that number. What the VMM does there, the process does here: it makes the agent's `out` a hypercall, and tells the
 * agent of faults (agent.h: how a fault is delivered).
 *
 * A `command` (agent.h) ends early, by SIGTERM and 5 s later by SIGKILL, where `stop` is 1 in the area of its vCPU's workload
 * (workload.h).
 *
 * No vCPU waits in the VMM: `next` is -EAGAIN where there is no step, and interrupt GPREMAP_LINUX_IRQ comes when there is
 * one for any vCPU.
 */
#ifndef GPREMAP_GUEST_ABI_LINUX_H
#define GPREMAP_GUEST_ABI_LINUX_H

#include "guest/abi/hypercall.h"

#define GPREMAP_LINUX_VCPUS 8
#define GPREMAP_LINUX_IRQ 10 /* GSI, edge triggered, active high */

/* What `world` writes. Addresses are guest-physical, sizes in bytes. */
struct gpremap_linux_world {
    uint64_t aperture_base;
    uint64_t aperture_size;
    uint64_t agent_base; /* multiples of 4096: the agent's memory that the process maps */
    uint64_t agent_size;
    uint64_t entry;  /* of the agent's image, which lies in its memory already */
    uint64_t tables; /* what an entry point finds in rdx: of no use here */
    uint64_t vcpus;
    struct {
        uint64_t mailbox;
        uint64_t stack_top;
    } vcpu[GPREMAP_LINUX_VCPUS];
};

#endif
