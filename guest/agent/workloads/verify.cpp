// That nothing is lost or misplaced: every page holds which one it is, and how often it has been visited.
//
//     word 0     the stamp of the page
//     word 1     its count
//     word 511   both together: that the end of the page belongs to its beginning
//
// Pages are visited in order, round after round. Those before the cursor have been visited once more than those from
// it on. Pages that a grow has added must be zero when they are visited first.
#include "guest/agent/workloads/kinds.h"
#include "guest/agent/workloads/loop.h"

namespace gpremap {
namespace {

constexpr uint64_t words[] = {0, 1, workload_page / 8 - 1};

struct Verify {
    abi::Report& report;
    uint64_t least = workload_page;

    void notice(gpremap_workload& workload, gpremap_place place);
    void prepare(gpremap_workload&) {}
    bool operate(gpremap_area& area, gpremap_place place);
    bool is_right(volatile uint64_t* page, uint64_t word, uint64_t expected, uint64_t or_else);
};

// Either may be there where the operation is done once more after a fault: then `or_else` is what it stores.
bool Verify::is_right(volatile uint64_t* page, uint64_t word, uint64_t expected, uint64_t or_else) {
    const uint64_t found = page[word];
    if (found == expected || found == or_else) return true;
    report.outcome = abi::Outcome::mismatch;
    report.mismatch_at = reinterpret_cast<uint64_t>(page + word);
    report.mismatch_found = found;
    report.mismatch_expected = expected;
    return false;
}

// The state: `cursor` the page, `round` its count, done[0] how many pages have a stamp, done[1] how many of those
// that were there at the beginning have yet to get one, done[2] 1 once the operation may have stored something.

// What a shrink takes is gone for good, also where a grow follows before anything else is done.
void Verify::notice(gpremap_workload& workload, gpremap_place place) {
    const uint64_t pages = place.size / workload_page;
    if (workload.begun == 0) workload.done[1] = pages;
    if (workload.done[0] > pages) workload.done[0] = pages;
    if (workload.done[1] > pages) workload.done[1] = pages;
    if (workload.cursor < pages || workload.cursor == 0) return;
    workload.cursor = 0;
    workload.round++;
    workload.done[1] = 0;
    workload.done[2] = 0;
}

bool Verify::operate(gpremap_area& area, gpremap_place place) {
    gpremap_workload& workload = area.workload;
    uint64_t& stamped = workload.done[0];
    const uint64_t unknown = workload.done[1];
    uint64_t& again = workload.done[2];
    const uint64_t number = workload.cursor, count = workload.round;
    auto* page = reinterpret_cast<volatile uint64_t*>(place.at + number * workload_page);
    const uint64_t stamp = abi::stamp_page(workload.seed, number);
    const bool is_fresh = number >= stamped;
    const uint64_t next = count + 1;
    // What the three words are, and what they become.
    const uint64_t now[] = {is_fresh ? 0 : stamp, is_fresh ? 0 : count, is_fresh ? 0 : stamp ^ count};
    const uint64_t then[] = {stamp, next, stamp ^ next};
    settle_state();
    for (uint64_t i = 0; i < 3 && (!is_fresh || number >= unknown); i++)
        if (!is_right(page, words[i], now[i], again ? then[i] : now[i])) return false;
    again = 1;
    settle_state();
    for (uint64_t i = 3; i-- > 0;) page[words[i]] = then[i];
    settle_state();
    if (is_fresh) stamped = number + 1;
    again = 0;
    workload.cursor++;
    gpremap_operation_ends(&area, 3 * sizeof(uint64_t));
    return true;
}

}  // namespace

void verify(gpremap_area& area, abi::Report& report) {
    run_operations(area, Verify{report});
}

}  // namespace gpremap
