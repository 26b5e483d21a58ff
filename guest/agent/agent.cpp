// The guest agent: asks the VMM for a step, does it, reports, asks for the next.
//
// Freestanding, ring 3, general registers only. Every vCPU runs this program on a stack and a
// mailbox of its own; what they share are the page tables, which only `exec` edits, under a lock.
#include "guest/abi/agent.h"

#include "guest/agent/processor/processor.h"
#include "guest/agent/workloads/hammer.h"
#include "guest/agent/workloads/pulse.h"
#include "guest/agent/workloads/workload.h"
#include "guest/runtime/call.h"
#include "guest/runtime/record.h"
#include "guest/runtime/ring.h"

namespace {

using namespace gpremap::abi;
using namespace gpremap::processor;
using gpremap::error_einval, gpremap::hypercall;
using gpremap::goes_on_after, gpremap::hammer, gpremap::pulse, gpremap::pulse_goes_on_after, gpremap::shuffle;
using gpremap::run_workload, gpremap::tell_followers, gpremap::workload_goes_on_after;

constexpr uint64_t page_size = 4096;
constexpr uint64_t large_page = 2ull << 20;

// Words of the aperture: at any byte address, and of whatever type the memory has.
using Word = uint64_t __attribute__((may_alias, aligned(1)));
using Byte = unsigned char;

// ---- patterns ----

// The bytes of one stamp page, or of its beginning.
void fill_stamp_page(uint64_t at, uint64_t len, uint64_t of_page) {
    Word* word = reinterpret_cast<Word*>(at);
    uint64_t words = len / 8;
    uint64_t value = of_page;
    uint64_t step = stamp_word(0, 1);
#pragma GCC unroll 8
    for (uint64_t i = 0; i < words; i++, value += step) word[i] = value;

    Byte* byte = reinterpret_cast<Byte*>(word + words);
    for (uint64_t i = 0; i < len % 8; i++) byte[i] = static_cast<Byte>(value >> (8 * i));
}

struct Mismatch {
    uint64_t at;
    Byte found;
    Byte expected;
};

enum class Match { yes, no };

Match compare_byte(uint64_t at, Byte expected, Mismatch& out) {
    Byte found = *reinterpret_cast<const volatile Byte*>(at);
    if (found == expected) return Match::yes;
    out = {at, found, expected};
    return Match::no;
}

// Compares with the words value, value + step, value + 2 step ..., eight at a time; then finds the byte.
Match compare_words(uint64_t at, uint64_t len, uint64_t value, uint64_t step, Mismatch& out) {
    uint64_t done = 0;
    for (; len - done >= 64; done += 64, value += 8 * step) {
        const Word* word = reinterpret_cast<const Word*>(at + done);
        uint64_t differences = 0;
#pragma GCC unroll 8
        for (uint64_t i = 0; i < 8; i++) differences |= word[i] ^ (value + i * step);
        if (differences) break;
    }
    for (uint64_t i = 0; done + i < len; i++) {
        uint64_t expected = value + i / 8 * step;
        if (compare_byte(at + done + i, static_cast<Byte>(expected >> (i % 8 * 8)), out) == Match::no)
            return Match::no;
    }
    return Match::yes;
}

uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

int64_t fill(const Step& step) {
    uint64_t at = step.arg[0], len = step.arg[1], seed = step.arg[3], first = step.arg[4];
    if (static_cast<Pattern>(step.arg[2]) == Pattern::byte) {
        fill_bytes(at, len, static_cast<Byte>(seed));
        return 0;
    }
    if (static_cast<Pattern>(step.arg[2]) != Pattern::stamp) return error_einval;
    for (uint64_t done = 0; done < len; done += page_size)
        fill_stamp_page(at + done, smaller(len - done, page_size),
                        stamp_page(seed, first + done / page_size));
    return 0;
}

int64_t verify(const Step& step, Report& report) {
    uint64_t at = step.arg[0], len = step.arg[1], seed = step.arg[3], first = step.arg[4];
    Mismatch mismatch = {};
    Match match = Match::yes;
    if (static_cast<Pattern>(step.arg[2]) == Pattern::byte) {
        match = compare_words(at, len, (seed & 0xff) * 0x0101010101010101ull, 0, mismatch);
    } else if (static_cast<Pattern>(step.arg[2]) == Pattern::stamp) {
        for (uint64_t done = 0; done < len && match == Match::yes; done += page_size)
            match = compare_words(at + done, smaller(len - done, page_size),
                                  stamp_page(seed, first + done / page_size), stamp_word(0, 1), mismatch);
    } else {
        return error_einval;
    }
    if (match == Match::no) {
        report.outcome = Outcome::mismatch;
        report.mismatch_at = mismatch.at;
        report.mismatch_found = mismatch.found;
        report.mismatch_expected = mismatch.expected;
    }
    return 0;
}

// ---- single accesses and copies ----

int64_t touch(const Step& step) {
    uint64_t at = step.arg[0], len = step.arg[1], stride = step.arg[3];
    if (stride == 0 || step.arg[2] > 1) return error_einval;
    for (uint64_t offset = 0; offset < len && len - offset >= 8; offset += stride) {
        volatile Word* word = reinterpret_cast<volatile Word*>(at + offset);
        if (step.arg[2] == 0)
            (void)*word;
        else
            gpremap_touch_for_write(word);
        if (len - offset <= stride) break;  // the sum could wrap
    }
    return 0;
}

int64_t copy(const Step& step) {
    uint64_t from = step.arg[0], to = step.arg[1], len = step.arg[2];
    if (to - from < len)
        copy_down(from, to, len);
    else
        copy_up(from, to, len);
    return 0;
}

int64_t access(const Step& step) {
    volatile Word* word = reinterpret_cast<volatile Word*>(step.arg[0]);
    switch (static_cast<FaultKind>(step.arg[1])) {
        case FaultKind::read:
            return static_cast<int64_t>(*word);
        case FaultKind::write:
            *word = step.arg[2];
            return 0;
        case FaultKind::execute:
            break;
    }
    return error_einval;
}

int64_t write_inline(const Step& step) {
    if (step.arg[1] > Step::inline_bytes) return error_einval;
    copy_up(reinterpret_cast<uint64_t>(step.bytes), step.arg[0], step.arg[1]);
    return 0;
}

// ---- exec: stage 2 cannot deny execution, so these tables do ----

// The one place, at a time, whose no-execute bit is cleared: the leaf that mapped it is replaced
// by the spare tables, and put back when the code has returned or faulted.
struct ExecWindow {
    uint64_t owner;           // of the lock: index of the vCPU, plus one; 0 when free
    volatile uint64_t* leaf;  // null while nothing is replaced
    uint64_t replaced;
    ExtentInfo extents[large_page / page_size];
};
ExecWindow window;

void lock_window(uint64_t vcpu) {
    uint64_t expected = 0;
    while (!__atomic_compare_exchange_n(&window.owner, &expected, vcpu + 1, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        expected = 0;
        gpremap_pause();
    }
}

void close_window() {
    if (window.leaf) {
        replace_entry(*window.leaf, window.replaced);
        window.leaf = nullptr;
    }
    __atomic_store_n(&window.owner, 0, __ATOMIC_RELEASE);
}

// The end of the executable extent at `at`, or 0 where query says that it is not executable.
uint64_t executable_until(uint64_t at) {
    uint64_t from = at & ~(large_page - 1);
    constexpr uint64_t capacity = sizeof window.extents / sizeof window.extents[0];
    int64_t count =
        hypercall(Call::query, from, large_page, reinterpret_cast<uint64_t>(window.extents), capacity);
    for (uint64_t i = 0; count > 0 && i < smaller(static_cast<uint64_t>(count), capacity); i++) {
        const ExtentInfo& extent = window.extents[i];
        if (at - extent.at < extent.size)
            return extent.prot & GPREMAP_PROT_EXEC ? extent.at + extent.size : 0;
    }
    return 0;
}

volatile uint64_t* table(uint64_t entry) {
    return reinterpret_cast<volatile uint64_t*>(address_of(entry));
}

// A table of leaves that map what the leaf maps whose first address is `from`.
void split(volatile uint64_t* spare, uint64_t from, uint64_t leaf, uint64_t page) {
    for (uint64_t i = 0; i < 512; i++) {
        const uint64_t at = from + i * page;
        spare[i] = page > page_size ? large_leaf(leaf, at) : small_leaf(leaf, at);
    }
}

// Clears no-execute for the pages of [at, end) that lie in the same 2 MiB as `at`.
void open_window(uint64_t at, uint64_t end, const Tables& tables) {
    volatile uint64_t* entry = table(tables.root) + (at >> 39 & 511);
    if (!is_present(*entry)) return;
    entry = table(*entry) + (at >> 30 & 511);
    if (!is_present(*entry)) return;

    volatile uint64_t* replaced = nullptr;
    uint64_t replacement = 0;
    if (is_large_leaf(*entry)) {
        split(table(tables.spare[0]), at & ~((1ull << 30) - 1), *entry, large_page);
        replaced = entry;
        replacement = table_entry(tables.spare[0]);
        entry = table(tables.spare[0]) + (at >> 21 & 511);
    } else {
        entry = table(*entry) + (at >> 21 & 511);
    }
    if (!is_large_leaf(*entry)) return;

    uint64_t from = at & ~(large_page - 1);
    volatile uint64_t* pages = table(tables.spare[1]);
    split(pages, from, *entry, page_size);
    for (uint64_t page = at & ~(page_size - 1); page < smaller(end, from + large_page); page += page_size)
        pages[(page - from) / page_size] = executable(pages[(page - from) / page_size]);
    if (replaced) {
        *entry = table_entry(tables.spare[1]);
    } else {
        replaced = entry;
        replacement = table_entry(tables.spare[1]);
    }
    window.replaced = *replaced;
    window.leaf = replaced;
    replace_entry(*replaced, replacement);
}

int64_t execute(const Step& step, uint64_t vcpu, const Tables& tables) {
    uint64_t at = step.arg[0];
    lock_window(vcpu);
    if (uint64_t end = executable_until(at)) {
        open_window(at, end, tables);
        settle_code(at);
    }
    int result = reinterpret_cast<int (*)(int)>(at)(static_cast<int>(step.arg[1]));
    close_window();
    return result;
}

// ---- calls ----

// The call of `step`, which `make` makes. Workloads on other vCPUs know from the counts which of their operations it was
// in progress with.
template <typename Make>
int64_t counted(const Step& step, Make make) {
    gpremap_call_begins();
    const int64_t result = make(step.arg);
    gpremap_call_ends();
    tell_followers(step, result);
    return result;
}

int64_t call(const Step& step) {
    return counted(step, [](const uint64_t* arg) {
        return hypercall(static_cast<Call>(arg[0]), arg[1], arg[2], arg[3], arg[4], arg[5], arg[6]);
    });
}

// The vCPU that waits does not leave the guest.
int64_t ring_call(const Step& step, uint64_t vcpu) {
    static bool is_set_up[max_vcpus];
    auto* ring = reinterpret_cast<gpremap_ring*>(rings + vcpu * ring_stride);
    if (!is_set_up[vcpu])
        if (int64_t error = hypercall(Call::ring, rings + vcpu * ring_stride)) return error;
    is_set_up[vcpu] = true;
    return counted(step, [ring](const uint64_t* arg) {
        const gpremap_ring_call made = {arg[0], {arg[1], arg[2], arg[3], arg[4], arg[5], arg[6]}, 0, 0};
        return gpremap_ring_make(ring, &made);
    });
}

// ---- the loop ----

int64_t perform(const Step& step, Report& report, uint64_t vcpu, const Tables& tables) {
    switch (step.op) {
        case Op::call:
            return call(step);
        case Op::ring_call:
            return ring_call(step, vcpu);
        case Op::fill:
            return fill(step);
        case Op::verify:
            return verify(step, report);
        case Op::touch:
            return touch(step);
        case Op::copy:
            return copy(step);
        case Op::access:
            return access(step);
        case Op::exec:
            return execute(step, vcpu, tables);
        case Op::write:
            return write_inline(step);
        case Op::hammer:
            return hammer(step, report, vcpu);
        case Op::shuffle:
            return shuffle(step, report, vcpu);
        case Op::pulse:
            return pulse(step);
        case Op::workload:
            return run_workload(step, report, vcpu);
        case Op::plug:
        case Op::unplug:
        case Op::command:
            break;
    }
    return error_einval;
}

void work(uint64_t vcpu, Mailbox& mailbox, const Tables& tables) {
    Report& report = mailbox.report;
    report.result = perform(mailbox.step, report, vcpu, tables);
    report.tsc_end = gpremap_timestamp();
    hypercall(Call::done);
}

[[noreturn]] void serve(uint64_t vcpu, Mailbox& mailbox, const Tables& tables) {
    for (;;) {
        if (hypercall(Call::next) != 0) continue;
        mailbox.report = Report{};
        mailbox.report.tsc_begin = gpremap_timestamp();
        work(vcpu, mailbox, tables);
    }
}

}  // namespace

extern "C" void fault_entry();

extern "C" [[noreturn]] void agent_main(uint64_t vcpu, Mailbox* mailbox, const Tables* tables) {
    hypercall(Call::hello, GPREMAP_ABI_VERSION);
    hypercall(Call::fault_handler, reinterpret_cast<uint64_t>(&fault_entry));
    serve(vcpu, *mailbox, *tables);
}

// The step that ran into mailbox->fault is given up where it was, unless it has reckoned with it: then it is
// done again, and finds in memory how far it was.
extern "C" [[noreturn]] void agent_fault(uint64_t vcpu, Mailbox* mailbox, const Tables* tables) {
    Report& report = mailbox->report;
    if (__atomic_load_n(&window.owner, __ATOMIC_RELAXED) == vcpu + 1) close_window();
    if (goes_on_after(mailbox->fault, mailbox->step, vcpu) ||
        pulse_goes_on_after(mailbox->fault, mailbox->step) ||
        workload_goes_on_after(mailbox->fault, mailbox->step, vcpu)) {
        hypercall(Call::resume);
        work(vcpu, *mailbox, *tables);
        serve(vcpu, *mailbox, *tables);
    }
    report.tsc_end = gpremap_timestamp();
    report.outcome = Outcome::fault;
    report.fault = mailbox->fault;
    hypercall(Call::done);
    serve(vcpu, *mailbox, *tables);
}

// The compiler may ask for these two.
extern "C" void* memset(void* to, int byte, size_t len) {
    fill_bytes(reinterpret_cast<uint64_t>(to), len, static_cast<Byte>(byte));
    return to;
}

extern "C" void* memcpy(void* to, const void* from, size_t len) {
    copy_up(reinterpret_cast<uint64_t>(from), reinterpret_cast<uint64_t>(to), len);
    return to;
}
