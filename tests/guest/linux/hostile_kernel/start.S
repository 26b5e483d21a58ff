// How each processor gets to C, and back there from exceptions.
#include "kernel.h"

    .section .text.start, "ax"
    .code64

    .globl _start
_start:
    lgdt gdt_pointer
    lea stacks + STACK_SIZE, %rsp
    mov %rsi, %rdi
    xor %ebp, %ebp
    call boot
    ud2

// Copied to TRAMPOLINE, where a SIPI begins: from real mode to long mode in one step.
    .code16
    .globl trampoline, trampoline_end
trampoline:
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl gdt_pointer_16 - trampoline
    mov $CR4_START, %eax
    mov %eax, %cr4
    mov $root, %eax
    mov %eax, %cr3
    mov $EFER, %ecx
    rdmsr
    or $EFER_LME, %eax
    wrmsr
    mov %cr0, %eax
    and $~CR0_NO_CACHES, %eax
    or $CR0_START, %eax
    mov %eax, %cr0
    ljmpl $CODE64, $second_entry
gdt_pointer_16:
    .word gdt_end - gdt - 1
    .long gdt
trampoline_end:

    .code64
second_entry:
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    lea stacks + 2 * STACK_SIZE, %rsp
    movq $0, stacks + STACK_SIZE
    lidt idt_pointer
    xor %ebp, %ebp
    call second_main
    ud2

// int attempt(void (*what)(void*), void* with): 0, or 1 where it has ended in an exception, with interrupts off. The lowest word of a
// stack says how far to unwind.
    .globl attempt
attempt:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rax
    and $-STACK_SIZE, %rax
    push (%rax)
    mov %rsp, (%rax)
    mov %rdi, %rdx
    mov %rsi, %rdi
    call *%rdx
    xor %eax, %eax
unwind:
    cld
    mov %rsp, %rdx
    and $-STACK_SIZE, %rdx
    pop (%rdx)
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

    .globl exception
exception:
    mov %rsp, %rax
    and $-STACK_SIZE, %rax
    cmpq $0, (%rax)
    je unexpected
    mov (%rax), %rsp
    mov $1, %eax
    jmp unwind
unexpected:
    mov (%rsp), %rdi
    mov 8(%rsp), %rsi
    mov %cr2, %rdx
    and $-16, %rsp
    call unexpected_exception

    .globl interrupt
interrupt:
    lock incq interrupts
    push %rax
    mov $LAPIC + LAPIC_EOI, %eax
    movl $0, (%rax)
    pop %rax
    iretq

    .globl nmi
nmi:
    lock incq interrupts
    iretq

// void in_32_bits(uint32_t address): reads there with PAE tables, from a segment that says it is one of 64 bits. Never returns.
    .globl in_32_bits
in_32_bits:
    mov %edi, %ebx
    ljmp *to_compatibility
    .code32
compatibility:
    mov %cr0, %eax
    and $~CR0_PG, %eax
    mov %eax, %cr0
    mov $EFER, %ecx
    rdmsr
    and $~EFER_LME, %eax
    wrmsr
    mov $pae_root, %eax
    mov %eax, %cr3
    mov %cr0, %eax
    or $CR0_PG, %eax
    mov %eax, %cr0
    ljmp $CODE32_LONG, $1f
1:  mov (%ebx), %eax
    hlt
    .code64

    .data
    .balign 16
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00ef9b000000ffff
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt
to_compatibility:
    .long compatibility
    .word CODE32

    .section .note.GNU-stack, "", @progbits
