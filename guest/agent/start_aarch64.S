// The two entry points; abi/aarch64.h says what the registers hold. Neither function returns.
    .section .text.start, "ax"

    .globl _start
_start:
    mov x29, xzr
    bl agent_main
    udf #0

    .globl fault_entry
fault_entry:
    mov x29, xzr
    bl agent_fault
    udf #0

// int64_t enter_program(entry, area, stack_top): calls the entry with the area, on a stack of the program's own.
    .globl enter_program
enter_program:
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    mov sp, x2
    mov x9, x0
    mov x0, x1
    blr x9
    mov sp, x29
    ldp x29, x30, [sp], #16
    ret

    .section .note.GNU-stack, "", @progbits
