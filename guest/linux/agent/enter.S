// void enter_image(entry, stack_top, vcpu, mailbox, tables): goes to the image's entry point (guest/abi/agent.h) on a stack of its own.
    .text
    .globl enter_image
enter_image:
    mov %rdi, %rax
    mov %rsi, %rsp
    mov %rdx, %rdi
    mov %rcx, %rsi
    mov %r8, %rdx
    xor %ebp, %ebp
    cld
    jmp *%rax

    .section .note.GNU-stack, "", @progbits
