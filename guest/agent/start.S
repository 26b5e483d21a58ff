// The two entry points; abi/agent.h says what the registers hold. Neither function returns.
    .section .text.start, "ax"

    .globl _start
_start:
    xor %ebp, %ebp
    call agent_main
    ud2

    .globl fault_entry
fault_entry:
    xor %ebp, %ebp
    call agent_fault
    ud2

    .section .note.GNU-stack, "", @progbits
