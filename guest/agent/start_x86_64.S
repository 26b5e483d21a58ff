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

// int64_t enter_program(entry, area, stack_top): calls the entry with the area, on a stack of the program's own.
    .globl enter_program
enter_program:
    push %rbp
    mov %rsp, %rbp
    mov %rdx, %rsp
    mov %rdi, %rax
    mov %rsi, %rdi
    call *%rax
    mov %rbp, %rsp
    pop %rbp
    ret

    .section .note.GNU-stack, "", @progbits
