// What a guest does not survive: each ends the run, in one documented way.
#include "kernel.h"

#define HOLE (world.aperture_base + 5 * LARGE)

void attack_silence(void) {
    for (;;) gpremap_pause();
}

void attack_halt(void) {
    for (;;) __asm__ volatile("cli; hlt");
}

// Without a table for them each exception is the last.
static void fault_for_ever(void) {
    const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) none = {0};
    __asm__ volatile("lidt %0; ud2" ::"m"(none));
}

void attack_triple_fault(void) {
    fault_for_ever();
}

void attack_triple_fault_beside_calls(void) {
    start_second(fault_for_ever);
    for (;;) hypercall(gpremap_map, (uint64_t[6]){world.aperture_base, LARGE, 3, GPREMAP_FLAG_REPLACE});
}

// ---- holes of the aperture ----

void attack_hole_read(void) {
    (void)*(volatile uint64_t*)HOLE;
}

void attack_hole_write(void) {
    *(volatile uint64_t*)HOLE = 1;
}

void attack_hole_execute(void) {
    ((void (*)(void))HOLE)();
}

void attack_hole_exchange(void) {
    uint64_t value = 1;
    __asm__ volatile("lock cmpxchgq %1, %0" : "+m"(*(volatile uint64_t*)HOLE) : "r"(value), "a"(0));
}

void attack_hole_string_in(void) {
    void* to = (void*)(HOLE - 16);
    uint64_t count = PAGE;
    hypercall(gpremap_map, (uint64_t[6]){HOLE - PAGE, PAGE, 3});
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(0x80) : "memory");
}

void attack_hole_string_out(void) {
    void* from = (void*)(HOLE - 16);
    uint64_t count = PAGE;
    hypercall(gpremap_map, (uint64_t[6]){HOLE - PAGE, PAGE, 3});
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(0x80) : "memory");
}

void attack_hole_in_32_bits(void) {
    in_32_bits(0xc0000000u + 5 * (uint32_t)LARGE);
}

void attack_hole_tables(void) {
    __asm__ volatile("mov %0, %%cr3" ::"r"(HOLE) : "memory");
}

void attack_hole_stack(void) {
    __asm__ volatile("mov %0, %%rsp; push $1; ud2" ::"r"(HOLE + PAGE) : "memory");
}

// ---- others ----

// More than KVM's emulator has for where no memory is.
void attack_wide_mmio(void) {
    uint64_t low = 0, high = 0;
    __asm__ volatile("lock cmpxchg16b %0"
                     : "+m"(*(volatile unsigned __int128*)GIB), "+a"(low), "+d"(high)
                     : "b"(1ull), "c"(2ull));
    __asm__ volatile("fxsave64 %0" : "=m"(*(volatile uint64_t*)GIB));
}

void attack_system_management(void) {
    write_lapic(0x310, 0);
    write_lapic(0x300, 0x40000 | 0x4200);
    for (;;) gpremap_pause();
}

// Registers of the APICs with any contents: resets, system management, interrupts that nobody expects.
void attack_interrupt_controllers(void) {
    for (;;) {
        if (below(2)) {
            write_lapic((uint32_t)below(0x40) * 16, (uint32_t)any_word());
        } else {
            *(volatile uint32_t*)0xfec00000 = (uint32_t)below(64);
            *(volatile uint32_t*)0xfec00010 = (uint32_t)any_word();
        }
    }
}

static void any_instructions(void* unused) {
    (void)unused;
    for (uint64_t i = 0; i < 64; i++) scratch[i] = (unsigned char)any_word();
    ((void (*)(void))(uintptr_t)scratch)();
}

void attack_instructions(void) {
    for (;;) attempt(any_instructions, NULL);
}

void attack_version(void) {
    hypercall(gpremap_hello, (uint64_t[6]){GPREMAP_ABI_VERSION + 1});
}

void attack_unhandled(void) {
    for (uint64_t at = 0; at < PAGE; at++)
        *(volatile unsigned char*)(world.vcpu[0].mailbox + at) = (unsigned char)any_word();
    hypercall(gpremap_unhandled, (uint64_t[6]){0});
}

// Nothing that a terminal or a JSON file could not bear.
void attack_last_words(void) {
    static const char words[] =
        "\x1b]0;title\x07\x1b[2J\xff\xfe\xc2\x9b\x33m\x9b\x31m\xed\xa0\x80\x00\x7f\b\r\xf5\"\\end";
    for (unsigned i = 0; i < sizeof words; i++) out_byte(0x3f8, (uint8_t)words[i]);
    hypercall(gpremap_power_off, (uint64_t[6]){~UINT64_C(0)});
}
