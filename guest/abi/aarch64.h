/*
 * The contract of every guest on aarch64, where hypercall.h and agent.h say what holds on x86-64. Valid C11, and C++20.
 *
 * A port is a word of the doorbell, a page of device memory where no memory is: a store of 4 bytes there rings.
 *
 *     port p      GPREMAP_DOORBELL + 4 * p
 *
 * A hypercall is one such store to GPREMAP_HYPERCALL_PORT, of any value, by an instruction that names its address by one
 * register, without write-back:
 *
 *     x8                          number                 preserved
 *     x0 x1 x2 x3 x4 x5           arguments 0 ... 5      x0: result, or -errno; the others are preserved
 *
 * as in a Linux system call. Guest-physical and guest-virtual addresses of the doorbell are the same number.
 *
 * The agent starts, and its faults are delivered, at EL0 with
 *
 *     x0    index of the vCPU
 *     x1    its Mailbox
 *     x2    the Tables, the same for every vCPU; their root is a table of level 0
 *     sp    the top of its stack
 *
 * The processor has LSE atomics. A time stamp is CNTVCT_EL0, `rip` is the pc. Of an exception, Fault::vector is the class in ESR_EL1, error_code the rest
 * of it, address FAR_EL1. What `svc` asks for is that the translations of its tables are dropped, of all vCPUs at once;
 * call flush_tlb is -ENOSYS.
 */
#ifndef GPREMAP_GUEST_ABI_AARCH64_H
#define GPREMAP_GUEST_ABI_AARCH64_H

#include "guest/abi/hypercall.h"

#define GPREMAP_DOORBELL UINT64_C(0x10000000)

#endif
