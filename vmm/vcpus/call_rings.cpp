#include "vmm/vcpus/call_rings.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <vector>

#include "vmm/base/threads.h"
#include "vmm/memory/remapper.h"
#include "vmm/vcpus/vcpu_thread.h"

namespace gpremap {
namespace {

using Clock = std::chrono::steady_clock;

// Longer than a vCPU takes from one result to its next call, with a step of its own in between; to fall asleep and be
// woken takes more than an exit.
constexpr auto awake_without_work = std::chrono::milliseconds(20);

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
    Place& place = places_.at(vcpu);
    place.wanted = reinterpret_cast<gpremap_ring*>(memory);
    ++place.set_ups;
    return ring_bell();
}

int64_t CallRings::ring_bell() {
    bell_.release();
    return 0;
}

std::optional<CallRecord> CallRings::take_record(unsigned vcpu) {
    Place& place = places_.at(vcpu);
    std::lock_guard lock(place.mutex);
    return std::exchange(place.record, std::nullopt);
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
    for (Place& place : places_)
        if (look_at(place) == Found::work) found = Found::work;
    return found;
}

CallRings::Found CallRings::look_at(Place& place) {
    if (const uint64_t set_ups = place.set_ups; set_ups != place.seen_set_ups) {
        place.ring.emplace(*place.wanted);
        place.seen_set_ups = set_ups;
    }
    if (!place.ring) return Found::nothing;
    const std::vector<gpremap_ring_call> calls = place.ring->take();
    if (calls.empty()) return Found::nothing;
    make(place, calls);
    return Found::work;
}

void CallRings::make(Place& place, std::span<const gpremap_ring_call> ring_calls) {
    std::vector<abi::BatchCall> calls;
    for (const gpremap_ring_call& call : ring_calls)
        std::ranges::copy(call.arg, calls.emplace_back(abi::BatchCall{call.number, {}, 0}).arg);
    const auto begin = Clock::now();
    // It waits in guest mode, so it is paused as the others are.
    const Caller caller{crew_.guest};
    const bool is_batch = calls.size() > 1;
    Called called = is_batch ? crew_.remapper.batch(caller, calls)
                             : crew_.remapper.call(caller, static_cast<abi::Call>(calls[0].number),
                                                   std::to_array(calls[0].arg));
    called.record.call_ns = static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count());
    {
        std::lock_guard lock(place.mutex);
        place.record = called.record;
    }
    for (size_t i = 0; i < calls.size(); i++)
        place.ring->answer(ring_calls[i].tag,
                           is_batch && called.result == 0 ? calls[i].result : called.result);
    place.ring->publish();
}

// Who submits after the last look sees the state, or the last look sees what was submitted.
void CallRings::sleep() {
    set_state(GPREMAP_RING_ASLEEP);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (look_at_all() == Found::nothing && !stops_) bell_.acquire();
    set_state(0);
}

void CallRings::set_state(uint32_t state) {
    for (Place& place : places_)
        if (place.ring) place.ring->set_state(state);
}

}  // namespace gpremap
