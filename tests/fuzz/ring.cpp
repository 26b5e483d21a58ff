// A ring of calls that a guest writes as it likes: each call comes once, in its turn, with those that it is linked with, as soon as there is room for the
// result; a broken ring gives none; each result is its call's; and the host writes nothing that is the guest's.
#include <cstring>
#include <memory>

#include "tests/fuzz/input.h"
#include "vmm/vcpus/call_ring.h"

namespace {

constexpr uint32_t entries = GPREMAP_RING_ENTRIES;

// What the guest writes at some moment: mostly one more call, or one more result collected; or any word.
void write_as_guest(gpremap_ring& ring, fuzz::Input& input) {
    const auto what = input.take<uint8_t>();
    gpremap_ring_call& next = ring.call[ring.submitted % entries];
    switch (what % 8) {
        case 0:
            ring.collected += what / 8;
            return;
        case 1: {
            const size_t at = input.take<uint16_t>() % (sizeof ring / sizeof(uint32_t)) * sizeof(uint32_t);
            const auto word = input.take<uint32_t>();
            std::memcpy(reinterpret_cast<char*>(&ring) + at, &word, sizeof word);
            return;
        }
        case 2:
            ring.submitted += what / 8;
            return;
        case 3:
            next.flags = GPREMAP_RING_LINKED;
            break;
        default:
            next.flags = 0;
    }
    next.number = what;
    next.tag = ring.submitted++;
}

// Whether call n is one of a batch of which another follows.
bool is_linked(const gpremap_ring& ring, uint32_t n) {
    return ring.call[n % entries].flags & GPREMAP_RING_LINKED;
}

// There is a next call, which is no batch, and room for what comes of it.
bool has_single_call(const gpremap_ring& ring, uint32_t completed) {
    const uint32_t waiting = ring.submitted - completed, uncollected = completed - ring.collected;
    return waiting > 0 && waiting <= entries && uncollected < entries && !is_linked(ring, completed);
}

void check_calls(const gpremap_ring& before, uint32_t completed,
                 const std::vector<gpremap_ring_call>& calls) {
    if (calls.size() > entries - (completed - before.collected))
        fuzz::fail("there is no room for the results");
    for (uint32_t i = 0; i < calls.size(); i++) {
        gpremap_ring_call next = before.call[(completed + i) % entries];
        next.flags = 0;
        if (std::memcmp(&calls[i], &next, sizeof next) != 0) fuzz::fail("another call than the next");
        if (is_linked(before, completed + i) != (i + 1 < calls.size()))
            fuzz::fail("a part of a batch, or more than one");
    }
}

void check_results(const gpremap_ring& shared, uint32_t completed,
                   const std::vector<gpremap_ring_call>& calls) {
    if (shared.completed != completed) fuzz::fail("another number of results");
    for (uint32_t i = 1; i <= calls.size(); i++)
        if (shared.result[(completed - i) % entries].tag != calls[calls.size() - i].tag)
            fuzz::fail("the result of another call");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Input input(data, size);
    const auto shared = std::make_unique<gpremap_ring>();
    gpremap::CallRing ring(*shared);
    uint32_t completed = 0;
    bool is_broken = false;
    while (!input.is_at_end()) {
        for (int writes = 1 + input.take<uint8_t>() % entries; writes > 0; writes--)
            write_as_guest(*shared, input);
        if (!is_broken && shared->state == GPREMAP_RING_BROKEN) shared->state = 0;  // the guest's own doing
        const gpremap_ring before = *shared;
        const std::vector<gpremap_ring_call> calls = ring.take();
        is_broken |= shared->state == GPREMAP_RING_BROKEN;
        if (is_broken && !calls.empty()) fuzz::fail("a broken ring has calls");
        if (!is_broken && calls.empty() && has_single_call(before, completed))
            fuzz::fail("a call that does not come");
        check_calls(before, completed, calls);
        for (const gpremap_ring_call& call : calls) ring.answer(call.tag, 0);
        completed += static_cast<uint32_t>(calls.size());
        if (!calls.empty()) ring.publish();
        if (shared->submitted != before.submitted || shared->collected != before.collected ||
            std::memcmp(shared->call, before.call, sizeof before.call) != 0)
            fuzz::fail("the host has written what is the guest's");
        if (!calls.empty()) check_results(*shared, completed, calls);
        if (input.take<uint8_t>() % 8 == 0) ring.set_state(GPREMAP_RING_ASLEEP);
    }
    return 0;
}
