// Runs the programs of programs_test.cpp one after the other, in ring 3. It lies at GPREMAP_PROGRAMS, struct Runner is what it
// begins with, the programs behind it are PROGRAM_STRIDE apart. Each makes RUNNER_STEPS instructions at most: it is run step by step, and the
// handler of debug exceptions counts. Every 256th runs as it will, for ever if it wants.
//
// A program ends by `ret`, or by a fault, which the VMM delivers to `fault`. It may have overwritten any of this.
#include "tests/vmm/hostile/program_runner.h"

#define TRAP_FLAG 0x100

    .section .rodata
    .globl program_runner, program_runner_end, debug_handler, debug_handler_end

// Runs where it was copied to, so everything is relative.
program_runner:
    jmp start
    .balign 8
next:  .long 0
count: .long 0
steps: .long 0
    .balign 8
stack: .quad 0

start:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, stack(%rip)
    lea fault(%rip), %rdi
    mov $CALL_FAULT_HANDLER, %eax
    out %eax, $HYPERCALL_PORT
next_program:
    mov stack(%rip), %rsp
    mov next(%rip), %eax
    cmp count(%rip), %eax
    jae end
    incl next(%rip)
    mov %eax, %ebx
    imul $PROGRAM_STRIDE, %rbx
    lea programs(%rip), %rcx
    add %rcx, %rbx
    movl $RUNNER_STEPS, steps(%rip)
    lea returned(%rip), %rcx
    push %rcx
    test $0xff, %al
    jz 1f
    pushf
    orl $TRAP_FLAG, (%rsp)
    popf
1:  jmp *%rbx
returned:
    pushf
    andl $~TRAP_FLAG, (%rsp)
    popf
    jmp next_program

fault:
    mov $CALL_RESUME, %eax
    out %eax, $HYPERCALL_PORT
    jmp next_program

end:
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

// What the stub of debug exceptions does where no steps are left, as the VMM has it: it tells of the exception.
no_steps_left:
    push $0
    push %rax
    mov $1, %eax
    out %eax, $EXCEPTION_PORT
    hlt

    .balign 64
programs:
program_runner_end:

// For the IDT's stub: in ring 0, 16 bytes.
debug_handler:
    decl RUNNER_AT + steps - program_runner
    js 1f
    iretq
1:  .byte 0xe9 // jmp to no_steps_left, from where the stub lies
    .long RUNNER_AT + no_steps_left - program_runner - (DEBUG_STUB_AT + debug_handler_end - debug_handler)
debug_handler_end:

    .section .note.GNU-stack, "", @progbits
