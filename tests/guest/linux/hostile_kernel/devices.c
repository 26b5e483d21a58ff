// Ports, addresses where no memory is, registers, interrupts, and a console that is flooded.
#include "kernel.h"

#define DURATION 50 /* ms of each attack, times the command line's seconds */

// ---- ports ----

static uint16_t any_port(void) {
    static const uint16_t ports[] = {0x20,
                                     0x21,
                                     0x40,
                                     0x43,
                                     0x60,
                                     0x61,
                                     0x64,
                                     0x70,
                                     0x71,
                                     0x80,
                                     0xa0,
                                     0xa1,
                                     0xcf8,
                                     0xcfc,
                                     0x3f8,
                                     0x3fd,
                                     0x4d0,
                                     GPREMAP_HYPERCALL_PORT,
                                     GPREMAP_HYPERCALL_PORT + 1,
                                     0xffff};
    return below(2) ? ports[below(LENGTH(ports))] : (uint16_t)any_word();
}

// The console's registers, but for what it would print.
static void any_register(void* unused) {
    (void)unused;
    const uint16_t at = (uint16_t)(0x3f9 + below(7));
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(at));
    if (at != 0x3fb && at != 0x3fc) out_byte(at, (uint8_t)any_word());
}

static void any_port_access(void* unused) {
    (void)unused;
    const uint16_t port = any_port();
    uint32_t value = (uint32_t)any_word();
    switch (below(6)) {
        case 0:
            if (port != 0x3f8) __asm__ volatile("outb %b0, %w1" ::"a"(value), "d"(port));
            break;
        case 1:
            __asm__ volatile("outw %w0, %w1" ::"a"(value), "d"(port));
            break;
        case 2:
            // A call otherwise.
            if (port != GPREMAP_HYPERCALL_PORT) __asm__ volatile("outl %0, %w1" ::"a"(value), "d"(port));
            break;
        case 3:
            __asm__ volatile("inb %w1, %b0" : "=a"(value) : "d"(port));
            break;
        case 4:
            __asm__ volatile("inw %w1, %w0" : "=a"(value) : "d"(port));
            break;
        default:
            __asm__ volatile("inl %w1, %0" : "=a"(value) : "d"(port));
    }
}

// Across pages of the scratch memory. What is put out is an exit for each.
static void any_string(void* unused) {
    (void)unused;
    const uint16_t port = any_port();
    uint64_t count = 2 + below(300 * how_long());
    void* at = scratch + (1 + below(8)) * PAGE - below(32);
    switch (below(7)) {
        case 0:
            if (port != 0x3f8) __asm__ volatile("rep outsb" : "+S"(at), "+c"(count) : "d"(port) : "memory");
            break;
        case 1:
            __asm__ volatile("rep outsw" : "+S"(at), "+c"(count) : "d"(port) : "memory");
            break;
        case 2:
            if (port != GPREMAP_HYPERCALL_PORT)
                __asm__ volatile("rep outsl" : "+S"(at), "+c"(count) : "d"(port) : "memory");
            break;
        case 3:
            __asm__ volatile("rep insb" : "+D"(at), "+c"(count) : "d"(port) : "memory");
            break;
        case 4:
            __asm__ volatile("rep insw" : "+D"(at), "+c"(count) : "d"(port) : "memory");
            break;
        case 5:
            at = scratch + 9 * PAGE + below(32);
            __asm__ volatile("std; rep insl; cld" : "+D"(at), "+c"(count) : "d"(port) : "memory");
            break;
        default:
            __asm__ volatile("rep insl" : "+D"(at), "+c"(count) : "d"(port) : "memory");
    }
}

// `what` again and again, whatever exceptions it meets.
static void repeat(void (*what)(void*)) {
    const uint64_t since = now();
    do {
        attempt(what, NULL);
    } while (!is_over(DURATION, since));
}

void attack_ports(void) {
    repeat(any_port_access);
    repeat(any_string);
    repeat(any_register);
}

// ---- addresses ----

static volatile void* no_memory(void) {
    const uint64_t places[] = {memory_end,
                               GIB,
                               3 * GIB,
                               0xfed00000,
                               0xfffbc000,
                               0xfffff000,
                               world.aperture_base - PAGE,
                               world.aperture_base + world.aperture_size,
                               FAR,
                               FAR + GIB - 2 * PAGE};
    return (volatile void*)(places[below(LENGTH(places))] + (below(2) ? below(PAGE) : PAGE - 1 - below(16)));
}

static void any_mmio(void* unused) {
    (void)unused;
    volatile void* at = no_memory();
    uint64_t value = any_word(), count = 1 + below(200);
    void* from = scratch + below(SCRATCH / 2);
    switch (below(9)) {
        case 0:
            *(volatile uint8_t*)at = (uint8_t)value;
            break;
        case 1:
            value = *(volatile uint16_t*)at;
            break;
        case 2:
            *(volatile uint32_t*)at = (uint32_t)value;
            break;
        case 3:
            value = *(volatile uint64_t*)at;
            break;
        case 4:
            *(volatile uint64_t*)at = value;
            break;
        case 5:
            __asm__ volatile("lock addl %1, %0" : "+m"(*(volatile uint32_t*)at) : "r"((uint32_t)value));
            break;
        case 6:
            __asm__ volatile("xchg %1, %0" : "+m"(*(volatile uint32_t*)at), "+r"(value));
            break;
        case 7:
            if (at < (volatile void*)FAR)
                __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(count)::"memory");
            break;
        default:
            if (at < (volatile void*)FAR)
                __asm__ volatile("rep movsb" : "+S"(at), "+D"(from), "+c"(count)::"memory");
    }
}

void attack_mmio(void) {
    repeat(any_mmio);
}

// ---- registers ----

// KVM's own, by which it writes into the guest's memory: its clock, stolen time, page faults, end of interrupt.
static void any_msr(void* unused) {
    static const uint32_t own[] = {0x11,       0x12,       0x4b564d00, 0x4b564d01, 0x4b564d02,
                                   0x4b564d03, 0x4b564d04, 0x4b564d05, 0x4b564d06, 0x4b564d07};
    static const uint32_t others[] = {0x174,      0x175,      0x176,      0x1a0,      0x200,      0x2ff,
                                      0x277,      0xc0000081, 0xc0000084, 0xc0010015, 0xc0010117, 0x40000000,
                                      0x40000001, 0x40000070, 0x48b,      0xda0};
    const uint64_t places[] = {
        (uintptr_t)scratch, memory_end - PAGE, memory_end, memory_end - 4, world.aperture_base, FAR_AT, ~0ull,
        any_word()};
    const uint32_t at = below(4) ? own[below(LENGTH(own))] : others[below(LENGTH(others))];
    uint32_t low, high;
    (void)unused;
    if (at == 0x4b564d06)  // a vector, of interrupts that may wait
        write_msr(at, 32 + below(224));
    else if (below(2))
        write_msr(at, places[below(LENGTH(places))] | below(4));
    else
        __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(at));
}

static void clear_msr(void* at) {
    write_msr((uint32_t) * (uint64_t*)at, 0);
}

// Guests of its own: where EFER takes the bit for them, there are.
static void begin_virtualization(void* unused) {
    const uint32_t svme = 1u << 12;
    uint32_t low, high;
    (void)unused;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(EFER));
    write_msr(EFER, (uint64_t)high << 32 | low | svme);
}

void attack_msrs(void) {
    if (attempt(begin_virtualization, NULL) == 0) say_wrong("guests of its own", EFER, 0);
    repeat(any_msr);
    for (uint64_t at = 0x4b564d00; at < 0x4b564d08; at++) attempt(clear_msr, &at);
}

// ---- interrupts ----

static void make_calls_and_wait(void) {
    __asm__ volatile("sti");
    for (;;) {
        hypercall(gpremap_map, (uint64_t[6]){world.aperture_base, LARGE, 3, GPREMAP_FLAG_REPLACE});
        __asm__ volatile("hlt");
    }
}

// A timer as fast as it goes, and each processor interrupts the other, while calls are made.
void attack_storm(void) {
    const uint64_t since = now(), before = interrupts;
    const uint32_t fixed = 0x4000, periodic = 1u << 17;
    write_lapic(0x350, 1u << 16);  // the old controller may have any vectors by now
    start_second(make_calls_and_wait);
    write_lapic(0x3e0, 0xb);
    write_lapic(0x320, periodic | 0x40);
    write_lapic(0x380, 100);
    __asm__ volatile("sti");
    while (!is_over(2 * DURATION, since)) {
        send_to_second(below(8) ? fixed | (32 + (uint32_t)below(224)) : 0x4400);
        write_lapic(0x300, 0x40000 | fixed | (32 + (uint32_t)below(224)));
        hypercall(gpremap_unmap, (uint64_t[6]){world.aperture_base, LARGE});
    }
    __asm__ volatile("cli");
    write_lapic(0x320, 1u << 16);
    if (interrupts - before < 10) say_wrong("no storm", interrupts - before, 0);
    send_to_second(0x4500);
}

// ---- the console ----

// With an interrupt asked for after each byte, half of the time.
void attack_flood(void) {
    for (unsigned i = 0; i < SCRATCH; i++) scratch[i] = (unsigned char)any_word();
    out_byte(0x3fb, 3);
    out_byte(0x3fc, 0);
    for (unsigned i = 0; i < 2 * how_long(); i++) {
        const void* from = scratch;
        uint64_t count = PAGE / 2;
        out_byte(0x3f9, i % 2 ? 2 : 0);
        __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(0x3f8) : "memory");
    }
    say("\n");
}
