#include "vmm/vcpus/call_ring.h"

#include <cstddef>

namespace gpremap {
namespace {

constexpr uint32_t entries = GPREMAP_RING_ENTRIES;

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
    copy.flags = 0;  // have been read before, and may be others now
    return copy;
}

}  // namespace

std::vector<gpremap_ring_call> CallRing::take() {
    std::vector<gpremap_ring_call> calls;
    if (is_broken_) return calls;
    for (uint32_t count = calls_ready(); count > 0; count--)
        calls.push_back(copy_of(shared_->call[taken_++ % entries]));
    return calls;
}

// How many calls can be made now as one: 1, or all of a batch.
uint32_t CallRing::calls_ready() {
    const uint32_t waiting = load(shared_->submitted) - taken_;
    const uint32_t uncollected = completed_ - load(shared_->collected);
    uint32_t count = 1;
    while (count <= waiting && count <= entries &&
           (__atomic_load_n(&shared_->call[(taken_ + count - 1) % entries].flags, __ATOMIC_RELAXED) &
            GPREMAP_RING_LINKED))
        ++count;
    if (waiting > entries || uncollected > entries || count > entries) {
        store(shared_->state, GPREMAP_RING_BROKEN);
        is_broken_ = true;
        return 0;
    }
    return count <= waiting && count <= entries - uncollected ? count : 0;
}

void CallRing::answer(uint64_t tag, int64_t result) {
    shared_->result[completed_++ % entries] = {tag, result};
}

void CallRing::publish() {
    store(shared_->completed, completed_);
}

void CallRing::set_state(uint32_t state) {
    if (!is_broken_) store(shared_->state, state);
}

}  // namespace gpremap
