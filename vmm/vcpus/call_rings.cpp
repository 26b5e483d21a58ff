#include "vmm/vcpus/call_rings.h"

#include <cerrno>
#include <chrono>
#include <exception>
#include <vector>

#include "guest/abi/ring.h"
#include "vmm/base/threads.h"
#include "vmm/memory/remapper.h"
#include "vmm/vcpus/vcpu_thread.h"

namespace gpremap {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t entries = GPREMAP_RING_ENTRIES;
// Longer than a vCPU takes from one result to its next call, with a step of its own in between; to fall asleep and be
// woken takes more than an exit.
constexpr auto awake_without_work = std::chrono::milliseconds(20);

uint32_t load(const uint32_t& from) {
    return __atomic_load_n(&from, __ATOMIC_ACQUIRE);
}

void store(uint32_t& to, uint32_t value) {
    __atomic_store_n(&to, value, __ATOMIC_RELEASE);
}

// While it is copied the guest may write it, so each word is read once.
gpremap_ring_call copy_of(const gpremap_ring_call& shared) {
    gpremap_ring_call copy;
    static_assert(sizeof copy % sizeof(uint64_t) == 0);
    for (size_t i = 0; i < sizeof copy / sizeof(uint64_t); i++)
        reinterpret_cast<uint64_t*>(&copy)[i] =
            __atomic_load_n(reinterpret_cast<const uint64_t*>(&shared) + i, __ATOMIC_RELAXED);
    return copy;
}

}  // namespace

CallRings::CallRings(Crew& crew) : crew_(crew) {
    thread_ = start_without_signals([this] { run(); });
}

CallRings::~CallRings() {
    stops_ = true;
    bell_.release();
    thread_.join();
}

int64_t CallRings::set_up(unsigned vcpu, uint64_t address) {
    if (address % 64 != 0) return -EINVAL;
    std::byte* memory = crew_.guest.own_memory(address, sizeof(gpremap_ring));
    if (!memory) return -EFAULT;
    Ring& ring = rings_.at(vcpu);
    ring.wanted = reinterpret_cast<gpremap_ring*>(memory);
    ++ring.set_ups;
    return ring_bell();
}

int64_t CallRings::ring_bell() {
    bell_.release();
    return 0;
}

std::optional<CallRecord> CallRings::take_record(unsigned vcpu) {
    Ring& ring = rings_.at(vcpu);
    std::lock_guard lock(ring.mutex);
    return std::exchange(ring.record, std::nullopt);
}

// ---- the thread ----

void CallRings::run() {
    begin_thread(ThreadKind::rings, "rings");
    try {
        for (auto idle_since = Clock::now(); !stops_;) {
            if (look_at_all() == Found::work)
                idle_since = Clock::now();
            else if (Clock::now() - idle_since < awake_without_work)
                pause_briefly();
            else
                sleep(), idle_since = Clock::now();
        }
    } catch (...) {
        crew_.stop(std::current_exception());
    }
}

CallRings::Found CallRings::look_at_all() {
    Found found = Found::nothing;
    for (unsigned vcpu = 0; vcpu < rings_.size(); vcpu++)
        if (look_at(vcpu) == Found::work) found = Found::work;
    return found;
}

CallRings::Found CallRings::look_at(unsigned vcpu) {
    Ring& ring = rings_[vcpu];
    if (const uint64_t set_ups = ring.set_ups; set_ups != ring.seen_set_ups) {
        ring.shared = ring.wanted;
        ring.seen_set_ups = set_ups;
        ring.taken = ring.completed = 0;
    }
    if (!ring.shared) return Found::nothing;
    const uint32_t count = calls_ready(ring);
    if (count == 0) return Found::nothing;
    make(vcpu, ring, count);
    return Found::work;
}

// How many calls can be made now as one: 1, or all of a batch. A ring whose counters make no sense is left alone.
uint32_t CallRings::calls_ready(Ring& ring) const {
    const uint32_t waiting = load(ring.shared->submitted) - ring.taken;
    const uint32_t uncollected = ring.completed - load(ring.shared->collected);
    uint32_t count = 1;
    while (count <= waiting && count <= entries &&
           (ring.shared->call[(ring.taken + count - 1) % entries].flags & GPREMAP_RING_LINKED))
        ++count;
    if (waiting > entries || uncollected > entries || count > entries) {
        store(ring.shared->state, GPREMAP_RING_BROKEN);
        ring.shared = nullptr;
        return 0;
    }
    return count <= waiting && count <= entries - uncollected ? count : 0;
}

void CallRings::make(unsigned vcpu, Ring& ring, uint32_t count) {
    std::vector<uint64_t> tags;
    std::vector<abi::BatchCall> calls;
    for (uint32_t i = 0; i < count; i++) {
        const gpremap_ring_call call = copy_of(ring.shared->call[(ring.taken + i) % entries]);
        tags.push_back(call.tag);
        calls.push_back({call.number, {}, 0});
        std::copy(std::begin(call.arg), std::end(call.arg), calls.back().arg);
    }
    ring.taken += count;
    const auto begin = Clock::now();
    // It waits in guest mode, so it is paused as the others are.
    const Caller caller{crew_.guest};
    Called called = count == 1 ? crew_.remapper.call(caller, static_cast<abi::Call>(calls[0].number),
                                                     std::to_array(calls[0].arg))
                               : crew_.remapper.batch(caller, calls);
    called.record.call_ns = static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count());
    {
        std::lock_guard lock(rings_[vcpu].mutex);
        ring.record = called.record;
    }
    for (uint32_t i = 0; i < count; i++)
        answer(ring, tags[i], count > 1 && called.result == 0 ? calls[i].result : called.result);
    store(ring.shared->completed, ring.completed);
}

// Is seen when `completed` has been stored.
void CallRings::answer(Ring& ring, uint64_t tag, int64_t result) {
    ring.shared->result[ring.completed++ % entries] = {tag, result};
}

// Who submits after the last look sees the state, or the last look sees what was submitted.
void CallRings::sleep() {
    set_state(GPREMAP_RING_ASLEEP);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (look_at_all() == Found::nothing && !stops_) bell_.acquire();
    set_state(0);
}

void CallRings::set_state(uint32_t state) {
    for (Ring& ring : rings_)
        if (ring.shared) store(ring.shared->state, state);
}

}  // namespace gpremap
