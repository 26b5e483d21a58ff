// A ring of calls that a guest writes as it likes: each call comes once, in its turn, a broken ring gives none, there is never a result that has
// no room, and the host writes nothing that is the guest's.
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Input input(data, size);
    const auto shared = std::make_unique<gpremap_ring>();
    gpremap::CallRing ring(*shared);
    uint32_t completed = 0;
    while (!input.is_at_end()) {
        for (int writes = 1 + input.take<uint8_t>() % entries; writes > 0; writes--)
            write_as_guest(*shared, input);
        const gpremap_ring before = *shared;
        const std::vector<gpremap_ring_call> calls = ring.take();
        if (!calls.empty() && shared->state == GPREMAP_RING_BROKEN && before.state != GPREMAP_RING_BROKEN)
            fuzz::fail("a broken ring has calls");
        if (calls.size() > entries - (completed - before.collected))
            fuzz::fail("there is no room for the results");
        for (const gpremap_ring_call& call : calls) {
            if (std::memcmp(&call, &before.call[completed++ % entries], sizeof call) != 0)
                fuzz::fail("another call than the next");
            ring.answer(call.tag, 0);
        }
        if (!calls.empty()) ring.publish();
        if (shared->submitted != before.submitted || shared->collected != before.collected ||
            std::memcmp(shared->call, before.call, sizeof before.call) != 0)
            fuzz::fail("the host has written what is the guest's");
        if (!calls.empty() && shared->completed != completed) fuzz::fail("another number of results");
        if (input.take<uint8_t>() % 8 == 0) ring.set_state(GPREMAP_RING_ASLEEP);
    }
    return 0;
}
