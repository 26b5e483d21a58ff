// EL1's vectors. `svc` drops the translations of the agent's tables, and goes on; of all else the doorbell is told, and the
// VMM never lets it go on here. x16 is kept in TPIDR_EL1, flags are in SPSR_EL1.
#define EXCEPTION_PORT 0xe5
#define SVC_OF_64_BIT 0x15

    .section .rodata
    .balign 2048
    .globl gpremap_agent_vectors, gpremap_agent_vectors_end
gpremap_agent_vectors:
    .rept 16
    .balign 128
    msr tpidr_el1, x16
    mrs x16, esr_el1
    lsr x16, x16, #26
    cmp x16, #SVC_OF_64_BIT
    b.eq 1f
    mov x16, #0x10000000        // GPREMAP_DOORBELL
    str w16, [x16, #4 * EXCEPTION_PORT]
    b .
1:  tlbi vmalle1is
    dsb ish
    isb
    mrs x16, tpidr_el1
    eret
    .endr
gpremap_agent_vectors_end:

    .section .note.GNU-stack, "", @progbits
