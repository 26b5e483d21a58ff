// The contract between the guest agent and the VMM, beyond the hypercalls of every guest (hypercall.h): where
// things lie in the agent's memory, how a vCPU starts, its mailbox, steps and reports. The version rule is
// that of hypercall.h.
//
// Guest-physical and guest-virtual addresses are the same number: the agent's tables map 1:1.
#pragma once

#include <stddef.h>

#include "guest/abi/hypercall.h"
#include "guest/abi/ring.h"
#include "guest/abi/workload.h"

namespace gpremap::abi {

// The ring 0 exception stubs announce themselves here, with the vector in eax.
inline constexpr uint16_t exception_port = 0xe5;

// ---- where things lie outside the aperture: the agent's own memory, never remapped ----

inline constexpr uint64_t agent_base = 0;
inline constexpr uint64_t agent_size = 96ull << 20;  // the areas of workloads and their programs at the end
inline constexpr uint64_t image_base = 1ull << 20;   // where agent.ld links the image
inline constexpr uint64_t image_limit = 4ull << 20;  // tables, stacks and mailboxes start here
inline constexpr uint32_t max_vcpus = 8;
// The lowest address at which an aperture may begin, and the end of what the tables can map.
inline constexpr uint64_t lowest_aperture = 1ull << 30;
inline constexpr uint64_t highest_aperture_end = 1ull << 46;

// ---- how a vCPU starts, and how a fault is delivered: at an entry point in 64-bit ring 3, with ----
//
//     rdi   index of the vCPU
//     rsi   its Mailbox
//     rdx   the Tables, the same for every vCPU
//     rsp   the top of its stack, 16-byte aligned; what the stack held is lost
//     rflags.DF clear; every other register is undefined
//
// The entry point is the image's ELF entry at the start, and the fault_handler's rip for a fault.

// The agent's own page tables, which all vCPUs share and which the agent may edit.
struct Tables {
    uint64_t root;      // address of the PML4
    uint64_t spare[2];  // free table pages: to split a 1 GiB leaf, and a 2 MiB leaf
};

// ---- structures in the agent's memory ----

enum class FaultKind : uint32_t { read = 0, write = 1, execute = 2 };

// What stood in the way of an access.
enum class FaultCause : uint32_t {
    stage2 = 0,     // nothing mapped at the guest-physical address, or against its protection
    exception = 1,  // an exception of the agent itself: `vector`, `error_code`
};

struct Fault {
    uint64_t address;  // guest-physical address of the access; for an exception, CR2
    uint64_t rip;
    uint64_t error_code;
    FaultKind kind;
    FaultCause cause;
    uint32_t vcpu;
    uint32_t vector;
};

enum class Op : uint32_t {
    call = 1,      // arg[0] number, arg[1..6] arguments: issues that hypercall
    fill = 2,      // arg[0] at, [1] len, [2] Pattern, [3] seed or byte, [4] first page of a stamp: byte i
                   // of the range is byte i % 4096 of stamp page [4] + i / 4096, wherever `at` lies
    verify = 3,    // as fill; a difference is reported in mismatch_*
    touch = 4,     // arg[0] at, [1] len, [2] 0 reads or 1 writes, [3] stride: one 8-byte word every stride
                   // bytes, as long as it ends inside the range; a write keeps the word's value, atomically
    copy = 5,      // arg[0] from, [1] to, [2] len: the guest's own memmove
    access = 6,    // arg[0] at, [1] FaultKind read or write, [2] value stored: one load or store of 8 bytes
    exec = 7,      // arg[0] at, [1] its int argument: calls the function there, its eax is the result. It
                   // runs only where query says GPREMAP_PROT_EXEC; it may reach to the end of its 2 MiB
    write = 8,     // arg[0] at, [1] len <= Step::inline_bytes, bytes inline: writes them there
    hammer = 9,    // arg[0] Arena, [1] most faults in a row: counts in the Arena's ranges until Arena::stop,
                   // its result is how often. [2] 1: counts before each access, which a shuffle has to notice
    shuffle = 10,  // arg[0] Arena, [1] Remap[], [2] how many, [3] vCPUs 0 ... [3] - 1 are hammering: makes
                   // the calls one after the other and checks each, its result is how many were right
    pulse = 11,    // arg[0] Pulse, [1] most faults in a row: writes until Pulse::stop, its result is the
                   // longest time between two writes, in ticks of the TSC
    workload = 12,   // arg[0] entry point of a program, or 0: runs the workload that this vCPU's area states
                     // (workload.h) until it is stopped, its result is how many operations it made; of a
                     // program, what it returned
    ring_call = 13,  // as call, through the vCPU's ring (ring.h), which is set up by the first
    // of a Linux guest alone (linux.h); the agent in ring 3 does nothing for them, as for all others:
    plug = 14,     // arg[0] len: maps as much and adds it to the System RAM, its result is the address
    unplug = 15,   // arg[0] at, [1] len, [2] milliseconds that it may take: takes System RAM away, from the
                   // end, and unmaps it; its result is how many bytes
    command = 16,  // arg[0] a text that ends with a zero, [1] bytes there: the shell runs it; the result is
                   // its status, and the text is replaced by the end of what it has written
    // an op or argument that is none of these does nothing: outcome ok, result -EINVAL
};

enum class Pattern : uint64_t { byte = 0, stamp = 1 };

// A workload on vCPU `vcpu` whose range a call moves or resizes: where the range is once the call has succeeded.
struct Follower {
    uint64_t vcpu;
    uint64_t from_result;  // 1: `at` counts from the call's result
    uint64_t at;
    uint64_t size;
};

struct Step {
    static constexpr uint64_t inline_bytes = 64;
    Op op;
    uint32_t reserved;
    uint64_t arg[8];
    uint8_t bytes[inline_bytes];
    uint64_t followers;  // of Op::call: whom the vCPU tells as soon as the call has returned
    Follower follower[max_vcpus];
};

enum class Outcome : uint32_t {
    ok = 0,
    mismatch = 1,  // verify: the first wrong byte is at mismatch_at; hammer, shuffle: the wrong word, or
                   // 0 where it is a call's result that is wrong
    fault = 2,     // the step ran into `fault` and was given up
};

struct Report {
    Outcome outcome;
    uint32_t reserved;
    int64_t result;  // call: rax; access: the word read; exec: eax
    uint64_t tsc_begin;
    uint64_t tsc_end;
    uint64_t mismatch_at;
    uint64_t mismatch_found;     // verify: one byte; else the word or result
    uint64_t mismatch_expected;  // the same
    Fault fault;
};

// The ring of each vCPU.
inline constexpr uint64_t rings = agent_base + 0x5a0000, ring_stride = 0x2000;
static_assert(sizeof(gpremap_ring) <= ring_stride);

// One a vCPU, page aligned. The VMM writes `step` and `fault`, the agent writes `report`.
struct Mailbox {
    Step step;
    Report report;
    Fault fault;  // filled before rip is set to the fault handler
};
static_assert(sizeof(Mailbox) <= 4096);

using ExtentInfo = gpremap_extent_info;
using BatchCall = gpremap_batch_call;

// ---- hammer and shuffle: counting in memory that is being remapped ----

// Every vCPU has words of its own, one of each Kind, at each place of each range:
//
//     address of the range + place * stride + vcpu * words_bytes + kind * 8
//
// and counts in its Tally what it has put there. An instruction that is reported as a fault has not been
// executed, so memory and tally agree to the last increment.
//
// A vCPU may be late, by any number of calls, between reading the address of a range and using it. So an
// address that a range has left must not be another's until `rounds` of every hammering vCPU has changed.
struct Arena {
    static constexpr uint64_t ranges = 8, views = 2, most_places = 8, kinds = 4, words_bytes = 8 * kinds;

    enum Kind : uint64_t {
        locked_increment = 0,
        locked_exchange_add = 1,  // the old value must be the tally's
        plain_increment = 2,
        plain_store = 3,  // one more than what a load has just found, which must be the tally's
    };
    struct Range {
        uint64_t address[views];  // where it can be seen now, 0 for nowhere
        uint64_t places;
        uint64_t stride;  // bytes
        uint64_t
            exact;  // 1: as above. 0: addresses of the range come to be other places, of it or of another
                    // such range, at once: only sums can be compared, and plain_store is left out
    };
    struct Tally {
        uint64_t count[ranges][most_places][kinds];
        uint64_t rounds;  // begun: changes before each look at an address
        uint64_t operations;
        uint64_t faults;
        uint64_t faults_in_a_row;
        uint64_t most_faults_in_a_row;
        uint64_t random;  // state of the choice
    };

    Range range[ranges];
    uint64_t stop;     // 1: the hammering ends; set by the host, and by a vCPU that has found something wrong
    uint64_t next;     // index of the call that the shuffle is at; 0 before it starts
    uint64_t probing;  // 1 while the shuffle wants a fault at `dead`
    Tally tally[max_vcpus];
};

// One call of a shuffle, and what must be true before the next.
struct Remap {
    struct Entry {
        uint64_t range;
        uint64_t view;
        uint64_t address;
    };

    BatchCall call;   // any remapping call; `result` is what it must return
    uint64_t before;  // a place of a range: the shuffling vCPU puts `marker` into its own first word there
                      // before the call; or 0
    uint64_t after;   // that place after the call, where it must find `marker`
    uint64_t marker;
    uint64_t range;    // no hammering vCPU's words at `after` may be behind what its tally had for this range
    uint64_t place;    // and place before the call; not compared where the range is not exact
    Entry moved[2];    // go into the Arena as soon as the call has returned
    uint64_t entries;  // how many of them
    uint64_t dead;     // an address that must fault afterwards, or 0
    uint64_t fresh;    // a word that must be zero afterwards, and gets the marker; or 0
};

// ---- pulse: writing or reading without a break while others remap ----

// One word is written (or, with `reads`, read) after the other: words 0 ... words - 1 at the place where the range is, and from the
// first again. An access that faults is made once more at the other place.
struct Pulse {
    uint64_t place[2];
    uint64_t words;     // at each place
    uint64_t stride;    // bytes from one to the next
    uint64_t reads;     // 1: nothing is written
    uint64_t stop;      // set by the host: it ends
    uint64_t accesses;  // made; all that follows is 0 before the first
    uint64_t here;      // index of the place
    uint64_t last;      // TSC after the last access
    uint64_t longest;   // ticks between two accesses
    uint64_t faults;
    uint64_t faults_in_a_row;
};

// ---- the stamp ----

// The word that a stamp fill puts at 8-byte word `word` (0 ... 511) of 4 KiB page `page` of a range.
// Every page differs from every other and every word from its neighbours, so a page in the wrong
// place, and a word in the wrong page, are noticed.
constexpr uint64_t stamp_page(uint64_t seed, uint64_t page) {
    uint64_t x = seed * 0x9e3779b97f4a7c15ull + page + 1;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}
constexpr uint64_t stamp_word(uint64_t of_page, uint64_t word) {
    return of_page + word * 0x9e3779b97f4a7c15ull;
}

}  // namespace gpremap::abi
