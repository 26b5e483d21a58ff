// Boots, makes the attacks that the command line names, and says whether its memory is as it was.
//     attack=NAME[,NAME...] seed=NUMBER seconds=NUMBER
#include "kernel.h"

#define PRESENT_WRITABLE_LARGE 0x83
#define PRESENT_WRITABLE 3
#define SERIAL 0x3f8
#define DIRECTORIES 16 /* a GiB each, 1:1 */

struct gate {
    uint16_t low, selector, type, middle;
    uint32_t high, reserved;
};

uint64_t root[512] __attribute__((aligned(4096)));
uint64_t pae_root[4] __attribute__((aligned(32)));
static uint64_t pointers[512] __attribute__((aligned(4096)));
static uint64_t directory[DIRECTORIES + 1][512] __attribute__((aligned(4096)));
static struct gate idt[256] __attribute__((aligned(16)));
const struct {
    uint16_t limit;
    void* base;
} __attribute__((packed)) idt_pointer = {sizeof idt - 1, idt};
unsigned char stacks[2 * STACK_SIZE] __attribute__((aligned(STACK_SIZE)));
unsigned char scratch[SCRATCH] __attribute__((aligned(4096)));

uint64_t interrupts, memory_end;
struct gpremap_linux_world world;
static uint64_t random_state[2], seed, seconds;
static void (*volatile second_job)(void);

// ---- what it says ----

void say(const char* text) {
    for (; *text; text++) out_byte(SERIAL, (uint8_t)*text);
}

void say_number(uint64_t number) {
    char text[19] = "0x0000000000000000";
    for (int i = 17; i > 1; i--, number >>= 4) text[i] = "0123456789abcdef"[number & 15];
    say(text);
}

void say_wrong(const char* what, uint64_t number, int64_t result) {
    say("WRONG: ");
    say(what);
    say(" ");
    say_number(number);
    say(" -> ");
    say_number((uint64_t)result);
    say("\n");
}

__attribute__((noreturn)) static void end(uint64_t status) {
    for (;;) hypercall(gpremap_power_off, (uint64_t[6]){status});
}

__attribute__((noreturn, used)) void unexpected_exception(uint64_t first, uint64_t second, uint64_t address) {
    say_wrong("an exception at", first, (int64_t)second);
    say_wrong("its cr2 is", address, 0);
    end(1);
}

// ---- time and chance ----

static unsigned processor(void) {
    return ((uintptr_t)__builtin_frame_address(0) - (uintptr_t)stacks) / STACK_SIZE;
}

uint64_t any_word(void) {
    uint64_t* state = &random_state[processor()];
    uint64_t x = *state += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

uint64_t below(uint64_t end) {
    return any_word() % end;
}

uint64_t now(void) {
    return gpremap_timestamp();
}

uint64_t how_long(void) {
    return seconds ? seconds : 1;
}

// As long as the TSC is of about 2 GHz: nothing depends on how long it takes.
bool is_over(uint64_t milliseconds, uint64_t since) {
    return now() - since > milliseconds * 2000000 * how_long();
}

// ---- tables ----

static void map_memory(void) {
    root[0] = (uintptr_t)pointers | PRESENT_WRITABLE;
    for (uint64_t i = 0; i <= DIRECTORIES; i++) {
        pointers[i] = (uintptr_t)directory[i] | PRESENT_WRITABLE;
        for (uint64_t j = 0; j < 512; j++)
            directory[i][j] = (i < DIRECTORIES ? i * GIB : FAR_AT) + j * LARGE + PRESENT_WRITABLE_LARGE;
    }
    // In 32 bits the last GiB is the aperture's first.
    for (unsigned i = 0; i < 4; i++) pae_root[i] = (uintptr_t)directory[i < 3 ? i : 4] | 1;
    __asm__ volatile("mov %0, %%cr4; mov %1, %%cr3" ::"r"((uint64_t)CR4_START), "r"(root) : "memory");
}

static void set_gate(unsigned vector, const char* handler) {
    const uint64_t at = (uintptr_t)handler;
    idt[vector] = (struct gate){at & 0xffff, CODE64, 0x8e00, at >> 16 & 0xffff, at >> 32, 0};
}

static void take_exceptions(void) {
    for (unsigned vector = 0; vector < 256; vector++) set_gate(vector, vector < 32 ? exception : interrupt);
    set_gate(2, nmi);
    __asm__ volatile("lidt %0" ::"m"(idt_pointer));
}

// ---- the second processor ----

__attribute__((used)) void second_main(void) {
    write_lapic(0xf0, 0x1ff);
    for (;;) second_job();
}

void send_to_second(uint32_t what) {
    write_lapic(0x310, 1u << 24);
    write_lapic(0x300, what);
}

void start_second(void (*job)(void)) {
    const uint32_t reset = 0x4500, begin = 0x4600;
    second_job = job;
    gpremap_copy((void*)TRAMPOLINE, trampoline, (uint64_t)(trampoline_end - trampoline));
    send_to_second(reset);
    for (int i = 0; i < 2; i++) send_to_second(begin | TRAMPOLINE >> 12);
}

// ---- memory that no call may change ----

#define PATTERN_AT (UINT64_C(112) << 20)
#define PATTERN_SIZE (UINT64_C(8) << 20)

static uint64_t sum_of(uint64_t at, uint64_t size) {
    uint64_t sum = 0;
    for (const uint64_t* word = (const uint64_t*)at; word < (const uint64_t*)(at + size); word++)
        sum = (sum << 7 | sum >> 57) ^ *word;
    return sum;
}

// Of the agent's image, which lies there whole, and of the kernel's.
static uint64_t sum_of_images(void) {
    const uint64_t agent = UINT64_C(1) << 20, kernel = UINT64_C(96) << 20;
    return sum_of(agent, 3 * agent) ^ sum_of(kernel, PAGE);
}

static void fill_pattern(void) {
    for (uint64_t at = PATTERN_AT; at < PATTERN_AT + PATTERN_SIZE; at += 8)
        *(volatile uint64_t*)at = at ^ seed;
}

static void check_pattern(void) {
    for (uint64_t at = PATTERN_AT; at < PATTERN_AT + PATTERN_SIZE; at += 8)
        if (*(volatile uint64_t*)at != (at ^ seed)) return say_wrong("boot memory at", at, *(int64_t*)at);
}

// ---- what is asked for ----

static const struct {
    const char* name;
    void (*make)(void);
} attacks[] = {
    {"ports", attack_ports},
    {"mmio", attack_mmio},
    {"msrs", attack_msrs},
    {"storm", attack_storm},
    {"flood", attack_flood},
    {"calls", attack_calls},
    {"borders", attack_borders},
    {"rewriting", attack_rewriting},
    {"resets", attack_resets},
    {"silence", attack_silence},
    {"halt", attack_halt},
    {"triple-fault", attack_triple_fault},
    {"triple-fault-beside-calls", attack_triple_fault_beside_calls},
    {"hole-read", attack_hole_read},
    {"hole-write", attack_hole_write},
    {"hole-execute", attack_hole_execute},
    {"hole-exchange", attack_hole_exchange},
    {"hole-string-in", attack_hole_string_in},
    {"hole-string-out", attack_hole_string_out},
    {"hole-in-32-bits", attack_hole_in_32_bits},
    {"hole-tables", attack_hole_tables},
    {"hole-stack", attack_hole_stack},
    {"wide-mmio", attack_wide_mmio},
    {"system-management", attack_system_management},
    {"interrupt-controllers", attack_interrupt_controllers},
    {"instructions", attack_instructions},
    {"version", attack_version},
    {"unhandled", attack_unhandled},
    {"last-words", attack_last_words},
    {"reports", attack_reports},
};

static bool begins_with(const char* text, const char* with) {
    while (*with)
        if (*text++ != *with++) return false;
    return true;
}

// Behind `key`, or NULL.
static const char* value_of(const char* line, const char* key) {
    for (; *line; line++)
        if (begins_with(line, key)) {
            while (*key) key++, line++;
            return line;
        }
    return NULL;
}

static uint64_t number_of(const char* line, const char* key) {
    uint64_t number = 0;
    const char* text = value_of(line, key);
    for (; text && *text >= '0' && *text <= '9'; text++) number = number * 10 + (uint64_t)(*text - '0');
    return number;
}

// Up to the next comma.
static bool is_name(const char* text, const char* name) {
    while (*name && *text == *name) text++, name++;
    return !*name && (*text == 0 || *text == ',' || *text == ' ');
}

static void make_attack(const char* text) {
    for (unsigned i = 0; i < LENGTH(attacks); i++) {
        if (!is_name(text, attacks[i].name)) continue;
        say("attack ");
        say(attacks[i].name);
        say("\n");
        attacks[i].make();
        check_pattern();
        return;
    }
    say_wrong("an attack that is none", 0, 0);
}

__attribute__((noreturn, used)) void boot(const char* parameters) {
    const char* line = (const char*)(uintptr_t) * (const uint32_t*)(parameters + 0x228);
    const uint64_t* last_entry = (const uint64_t*)(parameters + 0x2d0 + 2 * 20);
    memory_end = last_entry[0] + last_entry[1];
    seed = number_of(line, "seed=");
    seconds = number_of(line, "seconds=");
    random_state[0] = seed;
    random_state[1] = ~seed;
    map_memory();
    take_exceptions();
    write_lapic(0xf0, 0x1ff);
    if (hypercall(gpremap_world, (uint64_t[6]){(uintptr_t)&world})) say_wrong("world", 0, 0);
    fill_pattern();
    const uint64_t sum = sum_of_images();
    for (const char* text = value_of(line, "attack="); text && *text && *text != ' '; text++) {
        make_attack(text);
        while (*text && *text != ',' && *text != ' ') text++;
        if (*text != ',') break;
    }
    if (sum_of_images() != sum) say_wrong("an image has changed", 0, 0);
    say("its memory is as it was\n");
    end(0);
}
