// The agent on aarch64: pairs with write-back, exclusive and LSE atomics, and its page tables.
#pragma once

#include "guest/abi/agent.h"
#include "guest/runtime/architecture.h"
#include "guest/runtime/call.h"

namespace gpremap::processor {

// ---- strings ----

inline void fill_bytes(uint64_t at, uint64_t len, unsigned char byte) {
    gpremap_set(reinterpret_cast<void*>(at), byte, len);
}

inline void copy_up(uint64_t from, uint64_t to, uint64_t len) {
    gpremap_copy(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), len);
}

// From the end downwards, with the tail first.
inline void copy_down(uint64_t from, uint64_t to, uint64_t len) {
    uint64_t source = from + len, target = to + len, low, high;
    for (; len % 16; len--)
        asm volatile("ldrb %w2, [%0, #-1]!; strb %w2, [%1, #-1]!"
                     : "+r"(source), "+r"(target), "=&r"(low)::"memory");
    for (; len > 0; len -= 16)
        asm volatile("ldp %2, %3, [%0, #-16]!; stp %2, %3, [%1, #-16]!"
                     : "+r"(source), "+r"(target), "=&r"(low), "=&r"(high)::"memory");
}

// ---- counting: an access that faults has not been made ----
//
// Acquire and release, so that no counter is ahead of what was counted: the processor may reorder all else.

using Counter = volatile uint64_t __attribute__((may_alias));

// By exclusives. A remap between the two is noticed: what takes the vCPU out of the guest clears its monitor.
inline void increment_locked(Counter& word) {
    uint64_t value;
    uint32_t failed;
    asm volatile("1: ldaxr %0, [%2]; add %0, %0, #1; stlxr %w1, %0, [%2]; cbnz %w1, 1b"
                 : "=&r"(value), "=&r"(failed)
                 : "r"(&word)
                 : "memory");
}

// By one instruction of LSE. What the word held before.
inline uint64_t exchange_add_locked(Counter& word) {
    uint64_t found;
    asm volatile(".arch_extension lse; ldaddal %1, %0, [%2]"
                 : "=&r"(found)
                 : "r"(uint64_t{1}), "r"(&word)
                 : "memory");
    return found;
}

// Neither acquires nor releases: its order to others is the processor's affair. Exclusive all the same, so that no remap
// comes between load and store: there is no instruction that does both, and is not atomic.
inline void increment(Counter& word) {
    uint64_t value;
    uint32_t failed;
    asm volatile("1: ldxr %0, [%2]; add %0, %0, #1; stxr %w1, %0, [%2]; cbnz %w1, 1b"
                 : "=&r"(value), "=&r"(failed)
                 : "r"(&word)
                 : "memory");
}

// ---- page tables: 9 bits of an address a level, levels 0 to 3 ----

constexpr uint64_t entry_valid = 1, entry_table_or_page = 2, entry_no_execute = 1ull << 54;
constexpr uint64_t entry_address = 0x0000fffffffff000;

constexpr bool is_present(uint64_t entry) {
    return entry & entry_valid;
}
// Of an entry for 1 GiB or 2 MiB: a block.
constexpr bool is_large_leaf(uint64_t entry) {
    return (entry & (entry_valid | entry_table_or_page)) == entry_valid;
}
constexpr uint64_t address_of(uint64_t entry) {
    return entry & entry_address;
}
constexpr uint64_t table_entry(uint64_t table) {
    return table | entry_valid | entry_table_or_page;
}
// A leaf for 4 KiB at `at` with the rights of one for more.
constexpr uint64_t small_leaf(uint64_t large, uint64_t at) {
    return at | (large & ~entry_address) | entry_table_or_page;
}
// The same for 2 MiB.
constexpr uint64_t large_leaf(uint64_t large, uint64_t at) {
    return at | (large & ~entry_address & ~entry_table_or_page);
}
constexpr uint64_t executable(uint64_t leaf) {
    return leaf & ~entry_no_execute;
}

// Of all vCPUs: only EL1 may do it.
inline void drop_translations() {
    asm volatile("dsb ishst; svc #0" ::: "memory");
}

// Replaces a leaf by a table that maps the same, or back: break before make. What another vCPU accesses there meanwhile
// is a translation fault, which the VMM has it repeat.
inline void replace_entry(volatile uint64_t& entry, uint64_t value) {
    entry = 0;
    drop_translations();
    entry = value;
    asm volatile("dsb ishst; isb" ::: "memory");
}

// What is in memory from `code` to the end of its page is what is executed there. Instruction caches do not follow data:
// not where code has been written, and not where a remap has brought a page with code.
inline void settle_code(uint64_t code) {
    constexpr uint64_t page = 4096;
    uint64_t type;
    asm volatile("mrs %0, ctr_el0" : "=r"(type));
    const uint64_t data = 4ull << (type >> 16 & 15), instructions = 4ull << (type & 15);
    const uint64_t end = (code / page + 1) * page;
    for (uint64_t at = code / data * data; at < end; at += data)
        asm volatile("dc cvau, %0" ::"r"(at) : "memory");
    asm volatile("dsb ish" ::: "memory");
    for (uint64_t at = code / instructions * instructions; at < end; at += instructions)
        asm volatile("ic ivau, %0" ::"r"(at) : "memory");
    asm volatile("dsb ish; isb" ::: "memory");
}

}  // namespace gpremap::processor
