// A kernel of a Linux guest that is against its VMM: ring 0 of two processors, no user space.
#ifndef HOSTILE_KERNEL_H
#define HOSTILE_KERNEL_H

#define STACK_SIZE 0x4000
#define TRAMPOLINE 0x10000 /* below 1 MiB, free of what the loader has there */
#define CODE32 0x08
#define CODE64 0x10
#define DATA 0x18
#define CODE32_LONG 0x20 /* D and L, which is a segment of 32 bits where there is no long mode */
#define CR4_START 0x620  /* PAE, OSFXSR, OSXMMEXCPT */
#define CR0_START 0x80000031
#define CR0_PG 0x80000000
#define CR0_NO_CACHES 0x60000004
#define EFER 0xc0000080
#define EFER_LME 0x100
#define LAPIC 0xfee00000
#define LAPIC_EOI 0xb0

#ifndef __ASSEMBLER__
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest/abi/linux.h"
#include "guest/runtime/x86_64.h"

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])
#define PAGE UINT64_C(4096)
#define LARGE (UINT64_C(2) << 20)
#define GIB (UINT64_C(1) << 30)
#define FAR (16 * GIB) /* virtual: what lies at FAR_AT */
#define FAR_AT (UINT64_C(1) << 38)

// ---- start.S ----
extern char trampoline[], trampoline_end[], exception[], interrupt[], nmi[], image_end[];
int attempt(void (*what)(void*), void* with);
void in_32_bits(uint32_t address);

// ---- main.c ----
extern uint64_t root[512], pae_root[4], interrupts;
extern struct gpremap_linux_world world;
extern uint64_t memory_end;      // of what the kernel has
extern unsigned char scratch[];  // SCRATCH bytes, at a page, for whoever writes anywhere
#define SCRATCH (UINT64_C(64) << 10)

void say(const char* text);
void say_number(uint64_t number);
// A line that fails the test.
void say_wrong(const char* what, uint64_t number, int64_t result);
uint64_t below(uint64_t end);  // random; each processor has its own
uint64_t any_word(void);
// Starts the second processor, or starts it anew in the middle of whatever it does, and has it do `job`.
void start_second(void (*job)(void));
void send_to_second(uint32_t what);
bool is_over(uint64_t milliseconds, uint64_t since);
uint64_t now(void);       // ticks
uint64_t how_long(void);  // 1, or what the command line's seconds say

static inline uint64_t hypercall(uint64_t number, const uint64_t* arg) {
    return (uint64_t)gpremap_hypercall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}
static inline void write_lapic(uint32_t at, uint32_t value) {
    *(volatile uint32_t*)(uintptr_t)(LAPIC + at) = value;
}
static inline void out_byte(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" ::"a"(value), "d"(port));
}
static inline void write_msr(uint32_t at, uint64_t value) {
    __asm__ volatile("wrmsr" ::"c"(at), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

// ---- the attacks that a guest survives ----
void attack_ports(void);  // devices.c
void attack_mmio(void);
void attack_msrs(void);
void attack_storm(void);
void attack_flood(void);
void attack_calls(void);  // calls.c
void attack_borders(void);
void attack_rewriting(void);
void attack_resets(void);

// ---- those that end it (deadly.c) ----
void attack_silence(void);
void attack_halt(void);
void attack_triple_fault(void);
void attack_triple_fault_beside_calls(void);
void attack_hole_read(void);
void attack_hole_write(void);
void attack_hole_execute(void);
void attack_hole_exchange(void);
void attack_hole_string_in(void);
void attack_hole_string_out(void);
void attack_hole_in_32_bits(void);
void attack_hole_tables(void);
void attack_hole_stack(void);
void attack_wide_mmio(void);
void attack_system_management(void);
void attack_interrupt_controllers(void);
void attack_instructions(void);
void attack_version(void);
void attack_unhandled(void);
void attack_last_words(void);
void attack_reports(void);  // reports.c
#endif

#endif
