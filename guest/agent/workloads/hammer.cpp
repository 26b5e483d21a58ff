#include "guest/agent/workloads/hammer.h"

#include "guest/agent/processor/processor.h"
#include "guest/runtime/call.h"

namespace gpremap {
namespace {

using namespace abi;

using Word = processor::Counter;

Arena& arena_of(const Step& step) {
    return *reinterpret_cast<Arena*>(step.arg[0]);
}

Word& word_at(uint64_t place, uint64_t vcpu, uint64_t kind) {
    return *reinterpret_cast<Word*>(place + vcpu * Arena::words_bytes + kind * 8);
}

uint64_t load(const uint64_t& from) {
    return __atomic_load_n(&from, __ATOMIC_ACQUIRE);
}

void store(uint64_t& to, uint64_t value) {
    __atomic_store_n(&to, value, __ATOMIC_RELEASE);
}

// Also ends the hammering of all.
void fail(Arena& arena, Report& report, uint64_t at, uint64_t found, uint64_t expected) {
    report.outcome = Outcome::mismatch;
    report.mismatch_at = at;
    report.mismatch_found = found;
    report.mismatch_expected = expected;
    store(arena.stop, 1);
}

// ---- hammer ----

uint64_t random_below(uint64_t& state, uint64_t bound) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (state >> 33) % bound;
}

enum class Found { right, wrong };

// One access that counts. Where it faults, it is not made, and not counted.
Found count_once(Word& word, Arena::Kind kind, uint64_t tally, uint64_t& found) {
    found = tally;
    switch (kind) {
        case Arena::locked_increment:
            processor::increment_locked(word);
            break;
        case Arena::locked_exchange_add:
            found = processor::exchange_add_locked(word);
            break;
        case Arena::plain_increment:
            processor::increment(word);
            break;
        case Arena::plain_store:
            found = word;
            if (found == tally) word = tally + 1;
            break;
    }
    return found == tally ? Found::right : Found::wrong;
}

// When the count of an access is raised.
enum class Counting { afterwards, too_early };

void hammer_once(Arena& arena, Arena::Tally& tally, Report& report, uint64_t vcpu, Counting counting) {
    __atomic_fetch_add(&tally.rounds, 1, __ATOMIC_SEQ_CST);
    uint64_t chosen = random_below(tally.random, Arena::ranges);
    const Arena::Range& range = arena.range[chosen];
    uint64_t place = random_below(tally.random, range.places);
    auto kind = static_cast<Arena::Kind>(random_below(tally.random, range.exact ? Arena::kinds : 3));
    uint64_t address = load(range.address[random_below(tally.random, Arena::views)]);
    if (address == 0) return;

    uint64_t& count = tally.count[chosen][place][kind];
    const uint64_t expected = count;
    Word& word = word_at(address + place * range.stride, vcpu, kind);
    uint64_t found;
    if (counting == Counting::too_early) store(count, expected + 1);
    if (count_once(word, kind, expected, found) == Found::wrong && range.exact)
        return fail(arena, report, reinterpret_cast<uint64_t>(&word), found, expected);
    store(count, expected + 1);
    tally.operations++;
    tally.faults_in_a_row = 0;
}

// ---- shuffle ----

// What each vCPU has counted at a place: its words there cannot be behind it later.
struct Counted {
    uint64_t count[max_vcpus][Arena::kinds];
};

void note_counts(const Arena& arena, const Remap& remap, uint64_t vcpus, Counted& counted) {
    for (uint64_t vcpu = 0; vcpu < vcpus; vcpu++)
        for (uint64_t kind = 0; kind < Arena::kinds; kind++)
            counted.count[vcpu][kind] = load(arena.tally[vcpu].count[remap.range][remap.place][kind]);
}

void check_counts(Arena& arena, uint64_t place, uint64_t vcpus, const Counted& counted, Report& report) {
    for (uint64_t vcpu = 0; vcpu < vcpus; vcpu++)
        for (uint64_t kind = 0; kind < Arena::kinds; kind++) {
            Word& word = word_at(place, vcpu, kind);
            uint64_t found = word, least = counted.count[vcpu][kind];
            if (found < least) fail(arena, report, reinterpret_cast<uint64_t>(&word), found, least);
        }
}

void check_marker(Arena& arena, const Remap& remap, uint64_t own, Report& report) {
    Word& word = word_at(remap.after, own, 0);
    uint64_t found = word;
    if (found != remap.marker) fail(arena, report, reinterpret_cast<uint64_t>(&word), found, remap.marker);
}

void check_fresh(Arena& arena, const Remap& remap, Report& report) {
    Word& word = *reinterpret_cast<Word*>(remap.fresh);
    if (uint64_t found = word) fail(arena, report, remap.fresh, found, 0);
    word = remap.marker;
}

// Does not come back where all is well: goes_on_after() moves on to the next call.
void probe(Arena& arena, const Remap& remap, Report& report) {
    store(arena.probing, 1);
    uint64_t found = *reinterpret_cast<Word*>(remap.dead);
    store(arena.probing, 0);
    fail(arena, report, remap.dead, found, ~0ull);
}

void remap_once(Arena& arena, const Remap& remap, uint64_t own, uint64_t vcpus, Report& report) {
    Counted counted;
    if (remap.before) word_at(remap.before, own, 0) = remap.marker;
    note_counts(arena, remap, vcpus, counted);
    // Also with no call in between, which would hide that a processor has reordered an access and its count.
    const bool exact = arena.range[remap.range].exact;
    if (exact && remap.before) check_counts(arena, remap.before, vcpus, counted, report);
    const uint64_t* arg = remap.call.arg;
    int64_t result =
        hypercall(static_cast<Call>(remap.call.number), arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    if (result != remap.call.result)
        return fail(arena, report, 0, static_cast<uint64_t>(result),
                    static_cast<uint64_t>(remap.call.result));
    for (uint64_t i = 0; i < remap.entries; i++)
        store(arena.range[remap.moved[i].range].address[remap.moved[i].view], remap.moved[i].address);
    check_marker(arena, remap, own, report);
    if (exact) check_counts(arena, remap.after, vcpus, counted, report);
    if (remap.fresh) check_fresh(arena, remap, report);
    if (report.outcome == Outcome::ok && remap.dead) probe(arena, remap, report);
}

}  // namespace

int64_t hammer(const Step& step, Report& report, uint64_t vcpu) {
    Arena& arena = arena_of(step);
    Arena::Tally& tally = arena.tally[vcpu];
    const Counting counting = step.arg[2] ? Counting::too_early : Counting::afterwards;
    while (!load(arena.stop)) hammer_once(arena, tally, report, vcpu, counting);
    return static_cast<int64_t>(tally.operations);
}

int64_t shuffle(const Step& step, Report& report, uint64_t vcpu) {
    Arena& arena = arena_of(step);
    const auto* remaps = reinterpret_cast<const Remap*>(step.arg[1]);
    while (arena.next < step.arg[2]) {
        remap_once(arena, remaps[arena.next], vcpu, step.arg[3], report);
        if (report.outcome != Outcome::ok) break;
        arena.next++;
    }
    return static_cast<int64_t>(arena.next);
}

bool goes_on_after(const Fault& fault, const Step& step, uint64_t vcpu) {
    Arena& arena = arena_of(step);
    if (fault.cause != FaultCause::stage2) return false;
    if (step.op == Op::shuffle) {
        const Remap& remap = reinterpret_cast<const Remap*>(step.arg[1])[arena.next];
        bool wanted = arena.probing && fault.address == remap.dead && fault.kind == FaultKind::read;
        store(arena.probing, 0);
        if (wanted)
            arena.next++;
        else
            store(arena.stop, 1);
        return wanted;
    }
    if (step.op != Op::hammer) return false;
    Arena::Tally& tally = arena.tally[vcpu];
    tally.faults++;
    tally.faults_in_a_row++;
    if (tally.faults_in_a_row > tally.most_faults_in_a_row)
        tally.most_faults_in_a_row = tally.faults_in_a_row;
    if (tally.faults_in_a_row <= step.arg[1]) return true;
    store(arena.stop, 1);
    return false;
}

}  // namespace gpremap
