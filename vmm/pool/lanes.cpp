#include "vmm/pool/lanes.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "remap/address.h"
#include "vmm/base/threads.h"
#include "vmm/host/processors.h"

namespace gpremap {
namespace {

using Clock = std::chrono::steady_clock;
constexpr uint64_t gib = remap::gib1.bytes;

// 2 GiB a second, a fifth of what a processor can zero, of memory that nobody waits for. What a call gave may be wanted
// at once: there only the priority holds back.
constexpr auto time_per_fetched_step = std::chrono::milliseconds(1);
// What a shrink took away often comes back with the next one: fresh memory would then take its room.
constexpr auto quiet_before_refill = std::chrono::seconds(1);
constexpr uint64_t refill_piece = 64ull << 20;  // bytes
constexpr size_t most_cleaners = 4;
constexpr uint64_t least_share = 16ull << 20;  // bytes

int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

constexpr uint64_t round_up(uint64_t value, uint64_t unit) {
    return (value + unit - 1) / unit * unit;
}

// A thread that runs where nothing else wants to.
std::thread start_in_background(std::function<void()> work) {
    std::thread thread = start_without_signals(std::move(work));
    sched_param none = {};
    pthread_setschedparam(thread.native_handle(), SCHED_IDLE, &none);
    return thread;
}

}  // namespace

Lanes::Lanes(uint64_t capacity, uint64_t unit, std::byte* places, LaneMemory& memory)
    : capacity_(capacity), unit_(unit), places_(places), memory_(memory), last_call_ns_(now_ns()) {}

Lanes::~Lanes() {
    stop();
}

// Room to place memory at any distance from a multiple of 1 GiB.
uint64_t Lanes::place_size(uint64_t capacity) {
    return round_up(capacity, gib) + gib;
}

void Lanes::start(PoolCleaner wanted) {
    if (wanted == PoolCleaner::absent) return;
    const size_t count = std::clamp(usable_processors().size(), size_t{1}, most_cleaners);
    for (size_t i = 0; i < count; i++) {
        Cleaner& cleaner = cleaners_.emplace_back();
        const Refills refills = i == 0 ? Refills::yes : Refills::no;
        cleaner.thread = start_in_background([this, &cleaner, refills] { clean(cleaner, refills); });
    }
}

void Lanes::stop() {
    stops_ = true;
    call_cleaners();
    for (Cleaner& cleaner : cleaners_) cleaner.thread.join();
    cleaners_.clear();
}

// ---- calls ----

void Lanes::note_call() {
    last_call_ns_ = now_ns();
}

bool Lanes::is_settled(const Lane& lane) {
    const Lane::State state = lane.state.load(std::memory_order_acquire);
    return state == Lane::State::unclean || state == Lane::State::clean;
}

uint64_t Lanes::ready_in(const Lane& lane) const {
    return lane.zeroed.load(std::memory_order_acquire) / unit_ * unit_ - lane.taken;
}

Lane* Lanes::best_for(uint64_t size) {
    Lane* best = nullptr;
    uint64_t best_ready = 0;
    visit_ready([&](Lane& lane) {
        const uint64_t ready = ready_in(lane);
        if (best_ready >= size ? ready >= size && ready < best_ready : ready > best_ready) {
            best = &lane;
            best_ready = ready;
        }
    });
    return best;
}

void Lanes::take_front(Lane& lane, uint64_t size) {
    lane.taken += size;
    bytes_ -= size;
}

Lane* Lanes::hold(uint64_t size) {
    Lane* lane = free_lane();
    if (!lane) return nullptr;
    lane->at = places_ + static_cast<uint64_t>(lane - lanes_.data()) * place_size(capacity_);
    lane->taken = lane->zeroed = 0;
    lane->offset = 0;
    lane->origin = nullptr;
    lane->is_fetched = false;
    lane->is_given = false;
    lane->size = room_for(size / unit_ * unit_);
    if (lane->size > 0) return lane;
    drop(*lane);
    return nullptr;
}

void Lanes::drop(Lane& lane) {
    bytes_ -= lane.size - lane.taken;
    lane.is_given = false;
    lane.state = Lane::State::free;
}

void Lanes::release_empty() {
    for (Lane& lane : lanes_)
        if (lane.state == Lane::State::clean && lane.taken == lane.size) lane.state = Lane::State::free;
}

void Lanes::settle() {
    visit_given([](Lane& lane) {
        lane.is_given = false;
        lane.state.store(Lane::State::unclean, std::memory_order_release);
    });
    note_call();
    call_cleaners();
}

uint64_t Lanes::shares_of(uint64_t size) const {
    return std::clamp<uint64_t>(size / least_share, 1, std::max<size_t>(cleaners_.size(), 1));
}

// ---- what both sides use ----

// Held by the caller from now on.
Lane* Lanes::free_lane() {
    for (Lane& lane : lanes_) {
        Lane::State expected = Lane::State::free;
        if (lane.state.compare_exchange_strong(expected, Lane::State::held)) return &lane;
    }
    return nullptr;
}

// Counts `wanted` bytes as in the pool, or as many as still fit.
uint64_t Lanes::room_for(uint64_t wanted) {
    uint64_t before = bytes_;
    uint64_t granted = 0;
    do granted = std::min(wanted, capacity_ - before);
    while (!bytes_.compare_exchange_weak(before, before + granted));
    return granted;
}

namespace {

// For whoever only looks on: a lane may begin anew between the two readings.
uint64_t beyond(uint64_t end, uint64_t begin) {
    return end > begin ? end - begin : 0;
}

}  // namespace

uint64_t Lanes::ready() const {
    uint64_t bytes = 0;
    visit_settled([&](const Lane& lane) { bytes += beyond(lane.zeroed / unit_ * unit_, lane.taken); });
    return bytes;
}

uint64_t Lanes::unclean() const {
    uint64_t bytes = 0;
    for (const Lane& lane : lanes_)
        if (lane.state == Lane::State::unclean) bytes += beyond(lane.size, lane.zeroed);
    return bytes;
}

void Lanes::call_cleaners() {
    for (Cleaner& cleaner : cleaners_) cleaner.work.release();
}

// ---- the cleaners ----

void Lanes::clean(Cleaner& self, Refills refills) {
    begin_thread(ThreadKind::pool, "pool");
    while (!stops_) {
        const auto next = Clock::now() + time_per_fetched_step;
        if (Lane* lane = next_unclean(refills)) {
            const bool may_wait = lane->is_fetched;
            clean_some(*lane);
            lane->has_cleaner.store(false, std::memory_order_release);
            if (may_wait) std::this_thread::sleep_until(next);
        } else if (refills == Refills::no || (bytes_ == capacity_ && unclean() == 0)) {
            self.work.acquire();
        } else if (now_ns() - last_call_ns_ < std::chrono::nanoseconds(quiet_before_refill).count() ||
                   !refill_some()) {
            (void)self.work.try_acquire_for(quiet_before_refill);
        }
    }
}

// Nobody else's from now on.
Lane* Lanes::next_unclean(Refills refills) {
    for (Lane& lane : lanes_) {
        if (lane.state.load(std::memory_order_acquire) != Lane::State::unclean) continue;
        if (refills == Refills::no && lane.is_fetched) continue;
        if (lane.has_cleaner.exchange(true, std::memory_order_acquire)) continue;
        if (lane.state.load(std::memory_order_acquire) == Lane::State::unclean &&
            (refills == Refills::yes || !lane.is_fetched))
            return &lane;
        lane.has_cleaner.store(false, std::memory_order_release);
    }
    return nullptr;
}

void Lanes::clean_some(Lane& lane) {
    if (lane.zeroed == 0 && !lane.is_fetched && !memory_.open(lane)) {
        drop(lane);
        return;
    }
    memory_.zero(lane.at + lane.zeroed);
    const uint64_t zeroed = lane.zeroed + step;
    lane.zeroed.store(zeroed, std::memory_order_release);
    if (zeroed == lane.size) lane.state = Lane::State::clean;
}

// Fetches memory that is then zeroed as all other is: this is what makes the host provide it.
bool Lanes::refill_some() {
    Lane* lane = hold(std::max(refill_piece, unit_));
    if (!lane) return false;
    lane->is_fetched = true;
    if (!memory_.fetch(*lane)) {
        drop(*lane);
        return false;
    }
    lane->state = Lane::State::unclean;
    return true;
}

}  // namespace gpremap
