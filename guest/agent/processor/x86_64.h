// The agent on x86-64: string instructions, instructions that count in memory, and its page tables.
#pragma once

#include "guest/abi/agent.h"
#include "guest/runtime/architecture.h"
#include "guest/runtime/call.h"

namespace gpremap::processor {

// ---- strings ----

inline void fill_bytes(uint64_t at, uint64_t len, unsigned char byte) {
    uint64_t words = len / 8;
    uint64_t tail = len % 8;
    uint64_t value = byte * 0x0101010101010101ull;
    asm volatile("rep stosq; mov %[tail], %%rcx; rep stosb"
                 : "+D"(at), "+c"(words)
                 : "a"(value), [tail] "r"(tail)
                 : "memory");
}

inline void copy_up(uint64_t from, uint64_t to, uint64_t len) {
    asm volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(len)::"memory");
}

// From the end downwards. The tail goes first, byte by byte: descending strings of words are
// several times faster than of bytes.
inline void copy_down(uint64_t from, uint64_t to, uint64_t len) {
    uint64_t words = len / 8;
    uint64_t tail = len % 8;
    uint64_t source = from + len - 1;
    uint64_t target = to + len - 1;
    asm volatile("std; rep movsb; sub $7, %%rsi; sub $7, %%rdi; mov %[words], %%rcx; rep movsq; cld"
                 : "+S"(source), "+D"(target), "+c"(tail)
                 : [words] "r"(words)
                 : "memory", "cc");
}

// ---- counting: an access that faults has not been made ----

using Counter = volatile uint64_t __attribute__((may_alias));

inline void increment_locked(Counter& word) {
    asm volatile("lock incq %0" : "+m"(word)::"memory", "cc");
}

// What the word held before.
inline uint64_t exchange_add_locked(Counter& word) {
    uint64_t found = 1;
    asm volatile("lock xaddq %0, %1" : "+r"(found), "+m"(word)::"memory", "cc");
    return found;
}

inline void increment(Counter& word) {
    asm volatile("incq %0" : "+m"(word)::"memory", "cc");
}

// ---- page tables: 9 bits of an address a level, four levels ----

constexpr uint64_t entry_present = 1, entry_write = 2, entry_user = 4, entry_accessed = 0x20;
constexpr uint64_t entry_large = 0x80, entry_no_execute = 1ull << 63;
constexpr uint64_t entry_address = 0x000ffffffffff000;

constexpr bool is_present(uint64_t entry) {
    return entry & entry_present;
}
// Of an entry for 1 GiB or 2 MiB.
constexpr bool is_large_leaf(uint64_t entry) {
    return (entry & (entry_present | entry_large)) == (entry_present | entry_large);
}
constexpr uint64_t address_of(uint64_t entry) {
    return entry & entry_address;
}
constexpr uint64_t table_entry(uint64_t table) {
    return table | entry_present | entry_write | entry_user | entry_accessed;
}
// A leaf for 4 KiB at `at` with the rights of one for more.
constexpr uint64_t small_leaf(uint64_t large, uint64_t at) {
    return at | (large & ~(entry_address | entry_large));
}
// The same for 2 MiB.
constexpr uint64_t large_leaf(uint64_t large, uint64_t at) {
    return small_leaf(large, at) | entry_large;
}
constexpr uint64_t executable(uint64_t leaf) {
    return leaf & ~entry_no_execute;
}

// Of this vCPU.
inline void drop_translations() {
    hypercall(abi::Call::flush_tlb);
}

// Replaces a leaf by a table that maps the same, or back.
inline void replace_entry(volatile uint64_t& entry, uint64_t value) {
    entry = value;
    drop_translations();
}

// The processor sees code as soon as it is in memory.
inline void settle_code(uint64_t) {}

}  // namespace gpremap::processor
