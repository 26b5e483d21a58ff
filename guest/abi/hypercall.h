/*
 * The contract of every guest: how it calls the VMM, and with which numbers. Valid C11, and C++20: an agent
 * in ring 3, a kernel module and a user's own program include it alike.
 *
 * Version rule: any change to a number, a register, a flag, a structure or their meaning, here or in agent.h,
 * raises GPREMAP_ABI_VERSION by one. A guest's first hypercall is `hello` with the version that it was built
 * with; the VMM refuses any other, so a stale guest can never run half-understood.
 *
 * A hypercall is one `out %eax, $GPREMAP_HYPERCALL_PORT`:
 *
 *     rax                         number                 result, or -errno (-4095 ... -1)
 *     rdi rsi rdx r10 r8 r9       arguments 0 ... 5      preserved
 *
 * as in a Linux system call. Addresses are guest-physical and in bytes, sizes are in bytes.
 */
#ifndef GPREMAP_GUEST_ABI_HYPERCALL_H
#define GPREMAP_GUEST_ABI_HYPERCALL_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

#define GPREMAP_ABI_VERSION 7
#define GPREMAP_HYPERCALL_PORT 0xe4

/*
 * ---- hypercalls: X(name, number), with their arguments and result ----
 *
 * In C they are the enumerators gpremap_NAME of enum gpremap_call, in C++ those of gpremap::abi::Call.
 */
/* clang-format off */
#define GPREMAP_CALLS(X)                                                                                          \
    /* control */                                                                                                 \
    X(hello, 0x00)            /* (version)                        -> 0, or -EPROTO */                             \
    X(next, 0x01)             /* ()                               -> 0: the mailbox holds a step */               \
    X(done, 0x02)             /* ()                               -> 0: the mailbox holds the step's report */    \
    X(fault_handler, 0x03)    /* (rip)                            -> 0: this vCPU's faults are delivered to rip */ \
    X(unhandled, 0x04)        /* ()                               never returns: ends the run with its fault */   \
    X(flush_tlb, 0x05)        /* ()                               -> 0: stage-1 translations are dropped */       \
    X(nop, 0x06)              /* ()                               -> 0: what an exit costs */                     \
    X(resume, 0x07)           /* ()                               -> 0: the fault is dealt with, its step goes */ \
                              /*                                  on, the next is delivered as the first was */   \
    X(ring, 0x08)             /* (address)                        -> 0: this vCPU's ring is there, see ring.h */  \
    X(ring_bell, 0x09)        /* ()                               -> 0: the host looks at the rings */            \
    X(world, 0x0a)            /* (buffer)                         -> 0; writes struct gpremap_linux_world */      \
    X(power_off, 0x0b)        /* (status)                         never returns: the Linux guest has ended */     \
    /* native */                                                                                                  \
    X(map, 0x100)             /* (at, len, prot, flags)           -> address */                                   \
    X(unmap, 0x101)           /* (at, len)                        -> 0 */                                         \
    X(move, 0x102)            /* (from, to, len, flags)           -> address */                                   \
    X(grow, 0x103)            /* (at, len, new_len, flags)        -> address */                                   \
    X(shrink, 0x104)          /* (at, len, new_len)               -> address */                                   \
    X(alias, 0x105)           /* (from, to, len, prot, flags)     -> address */                                   \
    X(protect, 0x106)         /* (at, len, prot)                  -> 0 */                                         \
    X(release, 0x107)         /* (at, len)                        -> 0 */                                         \
    X(query, 0x108)           /* (at, len, buffer, capacity)      -> extents in the range; writes                 \
                                                                     struct gpremap_extent_info[] */              \
    X(exchange, 0x109)        /* (a, b, len)                      -> 0 */                                         \
    X(snapshot, 0x10a)        /* (from, to, len, prot, flags)     -> address */                                   \
    X(seal, 0x10b)            /* (at, len)                        -> 0 */                                         \
    X(lock, 0x10c)            /* (at, len)                        -> 0 */                                         \
    X(unlock, 0x10d)          /* (at, len)                        -> 0 */                                         \
    X(pin, 0x10e)             /* (at, len)                        -> 0 */                                         \
    X(unpin, 0x10f)           /* (at, len)                        -> 0 */                                         \
    X(batch, 0x110)           /* (calls, count)                   -> 0, or the errno of the first that fails;     \
                                                                     calls: struct gpremap_batch_call[count] */   \
    /* Linux: arguments and flag values as in the system calls of the same name */                                \
    X(linux_mremap, 0x200)    /* (old, old_size, new_size, flags, new) -> address */                              \
    X(linux_mmap, 0x201)      /* (addr, len, prot, flags)         -> address */                                   \
    X(linux_munmap, 0x202)    /* (addr, len)                      -> 0 */                                         \
    X(linux_mprotect, 0x203)  /* (addr, len, prot)                -> 0 */                                         \
    X(linux_madvise, 0x204)   /* (addr, len, advice)              -> 0 */                                         \
    X(linux_mlock, 0x205)     /* (addr, len)                      -> 0 */                                         \
    X(linux_munlock, 0x206)   /* (addr, len)                      -> 0 */                                         \
    X(linux_mseal, 0x207)     /* (addr, len, flags)               -> 0 */                                         \
    X(netbsd_mremap, 0x300)   /* (old, old_size, new, new_size, flags) -> address */                              \
    X(utek_mremap, 0x400)     /* (from, to, len, prot)            -> 0 */
/* clang-format on */

#ifdef __cplusplus
namespace gpremap::abi {
#define GPREMAP_CALL(name, number) name = number,
enum class Call : uint64_t { GPREMAP_CALLS(GPREMAP_CALL) };
#undef GPREMAP_CALL
}  // namespace gpremap::abi
#else
#define GPREMAP_CALL(name, number) gpremap_##name = number,
enum gpremap_call { GPREMAP_CALLS(GPREMAP_CALL) };
#undef GPREMAP_CALL
#endif

/* ---- protections, with the values of Linux's PROT_* ---- */
#define GPREMAP_PROT_READ UINT64_C(1)
#define GPREMAP_PROT_WRITE UINT64_C(2)
#define GPREMAP_PROT_EXEC UINT64_C(4)
#define GPREMAP_PROT_PREVIOUS UINT64_C(8) /* alias, snapshot: the source's own */

/* ---- native placement: without either, the stated address is used or the call fails ---- */
#define GPREMAP_FLAG_ANYWHERE UINT64_C(1)   /* map, alias, snapshot, move: any free place */
#define GPREMAP_FLAG_HINT UINT64_C(2)       /* the stated address if it is free, else any */
#define GPREMAP_FLAG_REPLACE UINT64_C(4)    /* what is mapped at the destination goes */
#define GPREMAP_FLAG_KEEP_HOLES UINT64_C(8) /* move: holes of the source move with it */
#define GPREMAP_FLAG_MAY_MOVE UINT64_C(16)  /* grow: moves where it cannot grow in place */
#define GPREMAP_FLAG_SHARED UINT64_C(32)    /* map: the range has the attribute shared */

/* ---- Linux <sys/mman.h> ---- */
#define GPREMAP_LINUX_MREMAP_MAYMOVE UINT64_C(1)
#define GPREMAP_LINUX_MREMAP_FIXED UINT64_C(2)
#define GPREMAP_LINUX_MREMAP_DONTUNMAP UINT64_C(4)
#define GPREMAP_LINUX_MAP_SHARED UINT64_C(0x01)
#define GPREMAP_LINUX_MAP_PRIVATE UINT64_C(0x02)
#define GPREMAP_LINUX_MAP_FIXED UINT64_C(0x10)
#define GPREMAP_LINUX_MAP_ANONYMOUS UINT64_C(0x20)
#define GPREMAP_LINUX_MAP_FIXED_NOREPLACE UINT64_C(0x100000)
#define GPREMAP_LINUX_MADV_DONTNEED UINT64_C(4)
#define GPREMAP_LINUX_MADV_REMOVE UINT64_C(9)
#define GPREMAP_LINUX_MADV_POPULATE_WRITE UINT64_C(23)

/* ---- NetBSD <sys/mman.h> ---- */
#define GPREMAP_NETBSD_MAP_REMAPDUP UINT64_C(0x0004)
#define GPREMAP_NETBSD_MAP_FIXED UINT64_C(0x0010)
#define GPREMAP_NETBSD_MAP_ALIGNMENT_SHIFT 24
#define GPREMAP_NETBSD_MAP_ALIGNMENT_MASK (UINT64_C(0xff) << GPREMAP_NETBSD_MAP_ALIGNMENT_SHIFT)

/* ---- UTek: the manual names the flags but not their values; these are ours ---- */
#define GPREMAP_UTEK_RELEASE_ZFILL UINT64_C(0x100)
#define GPREMAP_UTEK_PREVIOUS UINT64_C(0x200)

/* ---- errno values are Linux's; the two that only UTek has are numbers that Linux does not use ---- */
#define GPREMAP_EMCOLLIDE 1001
#define GPREMAP_EMRANGE 1002

/* ---- structures in the guest's memory ---- */

/* One extent, as `query` writes it. */
struct gpremap_extent_info {
    uint64_t at;         /* guest-physical address */
    uint64_t size;       /* bytes */
    uint64_t prot;       /* GPREMAP_PROT_* */
    uint64_t attributes; /* GPREMAP_ATTRIBUTE_* */
    uint64_t page_size;  /* the largest that stage 2 can map it with, in bytes */
};
#define GPREMAP_ATTRIBUTE_SHARED UINT64_C(1)
#define GPREMAP_ATTRIBUTE_LOCKED UINT64_C(2)
#define GPREMAP_ATTRIBUTE_PINNED UINT64_C(4)
#define GPREMAP_ATTRIBUTE_SEALED UINT64_C(8)

/* One entry of a batch; `number` is that of a native call. */
struct gpremap_batch_call {
    uint64_t number;
    uint64_t arg[6];
    int64_t result;
};
#define GPREMAP_MAX_BATCH 256

#endif
