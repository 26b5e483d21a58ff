// Calls from ring 0: any arguments, structures anywhere, rewritten while they are read, and a caller that is reset in the middle.
#include <asm-generic/errno-base.h>

#include "kernel.h"

#define DURATION 60 /* ms of each attack, times the command line's seconds */

static const uint16_t numbers[] = {0x100,
                                   0x101,
                                   0x102,
                                   0x103,
                                   0x104,
                                   0x105,
                                   0x106,
                                   0x107,
                                   0x108,
                                   0x109,
                                   0x10a,
                                   0x10b,
                                   0x10c,
                                   0x10d,
                                   0x10e,
                                   0x10f,
                                   0x110,
                                   0x111,
                                   0x200,
                                   0x201,
                                   0x202,
                                   0x203,
                                   0x204,
                                   0x205,
                                   0x206,
                                   0x207,
                                   0x300,
                                   0x400,
                                   gpremap_next,
                                   gpremap_done,
                                   gpremap_fault_handler,
                                   gpremap_flush_tlb,
                                   gpremap_nop,
                                   gpremap_resume,
                                   gpremap_ring,
                                   gpremap_ring_bell,
                                   gpremap_world};

static uint64_t any_number(void) {
    const uint64_t base = world.aperture_base, top = base + world.aperture_size;
    const uint64_t edges[] = {0,
                              1,
                              PAGE - 1,
                              PAGE,
                              LARGE,
                              GIB,
                              memory_end - PAGE,
                              memory_end,
                              LAPIC,
                              base - PAGE,
                              base,
                              base + 1,
                              top - PAGE,
                              top,
                              UINT64_C(1) << 47,
                              UINT64_C(1) << 63,
                              ~UINT64_C(0),
                              ~UINT64_C(0) - PAGE + 1,
                              UINT64_C(112) << 20};
    switch (below(8)) {
        case 0:
            return edges[below(LENGTH(edges))];
        case 1:
            return any_word();
        case 2:
            return below(64);
        case 3:
            return (1 + below(3)) * LARGE;
        case 4:
            return (1 + below(16)) * PAGE;
        default:
            return base + below(64) * PAGE;
    }
}

// For a structure that the VMM writes: where that is allowed it is the scratch memory.
static uint64_t any_place(void) {
    const uint64_t base = world.aperture_base;
    const uint64_t outside[] = {
        memory_end - 8, memory_end,      GIB, LAPIC, base - 8, base, base + world.aperture_size - 8,
        FAR_AT,         ~UINT64_C(0) - 7};
    return below(3) ? (uintptr_t)scratch + below(SCRATCH) : outside[below(LENGTH(outside))];
}

static void any_arguments(uint64_t number, uint64_t* arg) {
    for (unsigned i = 0; i < 6; i++) arg[i] = any_number();
    if (number == gpremap_query) arg[2] = any_place(), arg[3] = below(4) ? below(512) : any_word();
    if (number == gpremap_batch)
        arg[0] = any_place(), arg[1] = below(4) ? below(GPREMAP_MAX_BATCH + 1) : any_word();
    if (number == gpremap_world) arg[0] = any_place();
}

// Whatever comes of it is an answer.
static void make_any_call(void) {
    uint64_t arg[6];
    const uint64_t number =
        below(16) ? numbers[below(LENGTH(numbers))] : 0x100 + (any_word() & ~UINT64_C(0xff00000000000000));
    any_arguments(number, arg);
    hypercall(number, arg);
}

static void make_calls_for_ever(void) {
    for (;;) make_any_call();
}

void attack_calls(void) {
    const uint64_t since = now();
    start_second(make_calls_for_ever);
    while (!is_over(2 * DURATION, since)) make_any_call();
    send_to_second(0x4500);
}

// ---- ranges that are not the aperture's ----

// Where a call has its ranges, what else it takes, and how it refuses one that is outside. `second` counts arguments, 6: none.
static const struct refused {
    uint64_t number, arg[6];
    unsigned first, second;
    int64_t error;
} calls[] = {
    {gpremap_map, {0, PAGE, 3, GPREMAP_FLAG_REPLACE}, 0, 6, 34},
    {gpremap_unmap, {0, PAGE}, 0, 6, 34},
    {gpremap_move, {0, 0, PAGE, GPREMAP_FLAG_REPLACE}, 0, 1, 34},
    {gpremap_grow, {0, PAGE, 2 * PAGE, GPREMAP_FLAG_MAY_MOVE}, 0, 6, 34},
    {gpremap_shrink, {0, 2 * PAGE, PAGE}, 0, 6, 34},
    {gpremap_alias, {0, 0, PAGE, 3, GPREMAP_FLAG_REPLACE}, 0, 1, 34},
    {gpremap_protect, {0, PAGE, 3}, 0, 6, 34},
    {gpremap_release, {0, PAGE}, 0, 6, 34},
    {gpremap_query, {0, PAGE, 0, 0}, 0, 6, 34},
    {gpremap_exchange, {0, 0, PAGE}, 0, 1, 34},
    {gpremap_snapshot, {0, 0, PAGE, 3, GPREMAP_FLAG_REPLACE}, 0, 1, 34},
    {gpremap_seal, {0, PAGE}, 0, 6, 34},
    {gpremap_lock, {0, PAGE}, 0, 6, 34},
    {gpremap_unlock, {0, PAGE}, 0, 6, 34},
    {gpremap_pin, {0, PAGE}, 0, 6, 34},
    {gpremap_unpin, {0, PAGE}, 0, 6, 34},
    {gpremap_linux_mremap, {0, PAGE, 2 * PAGE, 1}, 0, 6, EFAULT},
    {gpremap_linux_mremap, {0, PAGE, PAGE, 3, 0}, 6, 4, EINVAL},
    {gpremap_linux_mmap, {0, PAGE, 3, 0x32}, 0, 6, ENOMEM},
    {gpremap_linux_munmap, {0, PAGE}, 0, 6, EINVAL},
    {gpremap_linux_mprotect, {0, PAGE, 3}, 0, 6, ENOMEM},
    {gpremap_linux_madvise, {0, PAGE, 4}, 0, 6, ENOMEM},
    {gpremap_linux_mlock, {0, PAGE}, 0, 6, ENOMEM},
    {gpremap_linux_munlock, {0, PAGE}, 0, 6, ENOMEM},
    {gpremap_linux_mseal, {0, PAGE}, 0, 6, ENOMEM},
    {gpremap_netbsd_mremap, {0, PAGE, 0, PAGE, 0}, 0, 6, ENOENT},
    {gpremap_utek_mremap, {0, 0, PAGE, 3}, 0, 1, 1002},
};

static void expect_refusal(const struct refused* call, uint64_t outside, uint64_t inside) {
    for (unsigned which = 0; which < 2; which++) {
        uint64_t arg[6];
        const unsigned place = which ? call->second : call->first;
        if (place == 6) continue;
        gpremap_copy(arg, call->arg, sizeof arg);
        if (call->first != 6) arg[call->first] = inside;
        if (call->second != 6) arg[call->second] = inside + 16 * PAGE;
        arg[place] = outside;
        const int64_t result = (int64_t)hypercall(call->number, arg);
        if (result != -call->error) {
            say_wrong("a call outside of the aperture", call->number, result);
            say_number(outside);
            say("\n");
        }
    }
}

// One that cannot be taken for one beside it: the second page of two, or of many.
static void expect_refusal_across(uint64_t at, uint64_t size) {
    const uint64_t whole[] = {gpremap_map, gpremap_unmap, gpremap_protect, gpremap_lock, gpremap_seal};
    for (unsigned i = 0; i < LENGTH(whole); i++) {
        const int64_t result = (int64_t)hypercall(whole[i], (uint64_t[6]){at, size, 3});
        if (result != -34 && result != -EINVAL)
            say_wrong("a call across the aperture's border", whole[i], result);
    }
}

void attack_borders(void) {
    const uint64_t base = world.aperture_base, top = base + world.aperture_size;
    const uint64_t outside[] = {0,
                                0x7000,
                                UINT64_C(1) << 20,
                                UINT64_C(96) << 20,
                                UINT64_C(112) << 20,
                                memory_end - PAGE,
                                memory_end,
                                GIB,
                                LAPIC,
                                0xfffbc000,
                                base - PAGE,
                                top,
                                FAR_AT,
                                UINT64_C(1) << 52,
                                ~UINT64_C(0) - 4 * PAGE + 1};
    hypercall(gpremap_linux_munmap, (uint64_t[6]){base, world.aperture_size});
    if (hypercall(gpremap_map, (uint64_t[6]){base, 64 * PAGE, 3, GPREMAP_FLAG_REPLACE}) != base)
        say_wrong("a map at the aperture's base", base, 0);
    for (unsigned i = 0; i < LENGTH(calls); i++)
        for (unsigned j = 0; j < LENGTH(outside); j++) expect_refusal(&calls[i], outside[j], base);
    expect_refusal_across(base - PAGE, 2 * PAGE);
    expect_refusal_across(top - PAGE, 2 * PAGE);
    expect_refusal_across(0, top);
    expect_refusal_across(memory_end - PAGE, base - memory_end + 2 * PAGE);
    const uint64_t places[] = {memory_end - 8, memory_end, GIB, base, base - 8, top, ~UINT64_C(0) - 7};
    for (unsigned i = 0; i < LENGTH(places); i++) {
        const int64_t of_query =
            (int64_t)hypercall(gpremap_query, (uint64_t[6]){base, 64 * PAGE, places[i], 1});
        const int64_t of_batch = (int64_t)hypercall(gpremap_batch, (uint64_t[6]){places[i], 1});
        const int64_t of_world = (int64_t)hypercall(gpremap_world, (uint64_t[6]){places[i]});
        if (of_query != -EFAULT) say_wrong("a query into", places[i], of_query);
        if (of_batch != -EFAULT) say_wrong("a batch at", places[i], of_batch);
        if (of_world != -EFAULT) say_wrong("a world into", places[i], of_world);
    }
}

// ---- structures that change ----

static void rewrite_for_ever(void) {
    for (;;) {
        uint64_t* word =
            (uint64_t*)scratch + below(GPREMAP_MAX_BATCH * sizeof(struct gpremap_batch_call) / 8);
        __atomic_store_n(word, below(4) ? *word ^ UINT64_C(1) << below(64) : any_number(), __ATOMIC_RELAXED);
    }
}

void attack_rewriting(void) {
    const uint64_t since = now();
    start_second(rewrite_for_ever);
    while (!is_over(2 * DURATION, since)) {
        struct gpremap_batch_call* batch = (struct gpremap_batch_call*)scratch;
        const uint64_t count = 1 + below(16);
        for (uint64_t i = 0; i < count; i++) {
            batch[i].number = numbers[below(18)];
            any_arguments(batch[i].number, batch[i].arg);
        }
        hypercall(gpremap_batch, (uint64_t[6]){(uintptr_t)scratch, count});
        hypercall(gpremap_query,
                  (uint64_t[6]){world.aperture_base, world.aperture_size, (uintptr_t)scratch, 256});
    }
    send_to_second(0x4500);
}

// ---- a caller that is reset ----

static volatile uint64_t rounds;

static void count_and_call_for_ever(void) {
    rounds++;
    make_calls_for_ever();
}

void attack_resets(void) {
    const uint64_t since = now();
    uint64_t resets = 0;
    rounds = 0;
    for (; !is_over(2 * DURATION, since); resets++) {
        const uint64_t before = rounds, began = now();
        start_second(count_and_call_for_ever);
        while (rounds == before && !is_over(1000, began)) gpremap_pause();
        for (uint64_t wait = below(2000); wait; wait--) gpremap_pause();
        if (below(4) == 0) make_any_call();
        if (below(8) == 0) send_to_second(0x4400);
    }
    if (rounds < resets / 2 || resets == 0)
        say_wrong("resets after which it did not begin", resets, (int64_t)rounds);
    send_to_second(0x4500);
}
