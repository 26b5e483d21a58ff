#include "vmm/memory/warm_pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <new>
#include <string>
#include <system_error>

#include "remap/address.h"
#include "vmm/base/errors.h"
#include "vmm/base/threads.h"
#include "vmm/host/resident_pages.h"

namespace gpremap {
namespace {

using Clock = std::chrono::steady_clock;
constexpr uint64_t huge = remap::mib2.bytes;
constexpr uint64_t gib = remap::gib1.bytes;

// 2 GiB a second: a fifth of what a processor can zero.
constexpr auto time_per_huge_page = std::chrono::milliseconds(1);
// What a shrink took away often comes back with the next one: fresh memory would then take its room.
constexpr auto quiet_before_refill = std::chrono::seconds(1);
constexpr uint64_t refill_piece = 64ull << 20;  // bytes

int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

constexpr uint64_t round_up(uint64_t value, uint64_t unit) {
    return (value + unit - 1) / unit * unit;
}

// Room to place memory at any distance from a multiple of 1 GiB.
constexpr uint64_t lane_size_for(uint64_t capacity) {
    return round_up(capacity, gib) + gib;
}

// As Stage2::map_anonymous does it.
int map_fresh(std::byte* at, uint64_t size) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if (mmap(at, size, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) return errno;
    if (madvise(at, size, MADV_HUGEPAGE) != 0 && errno != EINVAL) return errno;
    return 0;
}

// The kernel's search for a new lot of huge pages can only be worse than keeping one.
bool is_one_huge_page(const std::byte* at) {
    try {
        auto pages = resident_pages(at, huge, huge);
        return pages.size() == 1 && pages[0].page == huge && pages[0].size == huge;
    } catch (const std::exception&) {
        return false;  // this kernel does not say
    }
}

// A thread that runs where nothing else wants to, and takes no signals: those are for the vCPUs.
template <class Work>
std::thread start_in_background(Work work) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread(work);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    sched_param none = {};
    pthread_setschedparam(thread.native_handle(), SCHED_IDLE, &none);
    return thread;
}

}  // namespace

WarmPool::WarmPool(uint64_t capacity, PoolCleaner cleaner)
    : capacity_(capacity),
      lane_size_(lane_size_for(capacity)),
      reservation_(lane_size_ * lane_count / 2),
      last_call_ns_(now_ns()) {
    fill();
    open_page_map();  // which the cleaner asks
    if (cleaner == PoolCleaner::runs) cleaner_ = start_in_background([this] { clean(); });
}

WarmPool::~WarmPool() {
    stops_ = true;
    call_cleaner();
    if (cleaner_.joinable()) cleaner_.join();
}

void WarmPool::fill() {
    Lane& lane = lanes_[0];
    lane.at = start_of(lane);
    lane.size = lane.zeroed = capacity_;
    int error = map_fresh(lane.at, capacity_);
    if (error == 0 && madvise(lane.at, capacity_, MADV_POPULATE_WRITE) != 0) error = errno;
    if (error != 0)
        throw HostLacks("no " + std::to_string(capacity_ >> 20) + " MiB of memory for the warm pool (" +
                        strerror(error) + "): make vm.pool smaller");
    bytes_ = capacity_;
    lane.state = State::clean;
}

// ---- calls ----

uint64_t WarmPool::take(HostCalls& calls, std::byte* at, uint64_t size) {
    last_call_ns_ = now_ns();  // before there is room: the cleaner could be awake, and refill at once
    release_empty_lanes();
    uint64_t done = 0;
    for (uint64_t wanted = size / huge * huge; done < wanted;) {
        Lane* lane = best_for(wanted - done);
        if (!lane) break;
        uint64_t some = std::min(lane->zeroed - lane->taken, wanted - done);
        if (move_memory(calls, lane->at + lane->taken, at + done, some, Leaves::hole) != 0) break;
        lane->taken += some;
        bytes_ -= some;
        done += some;
    }
    counts_.taken += done;
    return done;
}

// The smallest that has as much, or else the largest.
WarmPool::Lane* WarmPool::best_for(uint64_t size) {
    Lane* best = nullptr;
    uint64_t best_ready = 0;
    for (Lane& lane : lanes_) {
        State state = lane.state.load(std::memory_order_acquire);
        if (state != State::unclean && state != State::clean) continue;
        uint64_t ready = lane.zeroed - lane.taken;
        bool better = best_ready >= size ? ready >= size && ready < best_ready : ready > best_ready;
        if (!better) continue;
        best = &lane;
        best_ready = ready;
    }
    return best;
}

uint64_t WarmPool::give(HostCalls& calls, std::byte* at, uint64_t size, Leaves leaves) {
    uint64_t skipped = -reinterpret_cast<uint64_t>(at) % huge;
    if (size < skipped + huge) return 0;
    release_empty_lanes();
    Lane* lane = free_lane();
    if (!lane) return 0;
    lane->origin = at + skipped;
    lane->size = room_for((size - skipped) / huge * huge);
    // Congruent, so that whole page tables can be moved.
    lane->at = start_of(*lane) + reinterpret_cast<uint64_t>(lane->origin) % gib;
    lane->taken = lane->zeroed = 0;
    if (lane->size == 0 || !move_in(calls, *lane, leaves)) {
        bytes_ -= lane->size;
        lane->origin = nullptr;
        lane->state = State::free;
        return 0;
    }
    counts_.given += lane->size;
    return lane->size;
}

bool WarmPool::move_in(HostCalls& calls, Lane& lane, Leaves leaves) {
    try {
        return move_memory(calls, lane.origin, lane.at, lane.size, leaves) == 0;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

void WarmPool::take_back(HostCalls& calls) {
    for (Lane& lane : lanes_) {
        if (lane.state != State::held || !lane.origin) continue;
        if (int error = move_memory(calls, lane.at, lane.origin, lane.size, Leaves::hole))
            throw std::system_error(error, std::generic_category(), "taking memory back from the warm pool");
        counts_.given -= lane.size;
        bytes_ -= lane.size;
        lane.origin = nullptr;
        lane.state = State::free;
    }
}

void WarmPool::settle() {
    if (counts_.given == 0 && counts_.taken == 0) return;
    for (Lane& lane : lanes_) {
        if (lane.state != State::held || !lane.origin) continue;
        lane.origin = nullptr;
        lane.state.store(State::unclean, std::memory_order_release);
    }
    last_call_ns_ = now_ns();
    call_cleaner();
}

void WarmPool::release_empty_lanes() {
    for (Lane& lane : lanes_)
        if (lane.state == State::clean && lane.taken == lane.size) lane.state = State::free;
}

// ---- what both sides use ----

// Held by the caller from now on.
WarmPool::Lane* WarmPool::free_lane() {
    for (Lane& lane : lanes_) {
        State expected = State::free;
        if (lane.state.compare_exchange_strong(expected, State::held)) return &lane;
    }
    return nullptr;
}

std::byte* WarmPool::start_of(const Lane& lane) const {
    return reservation_.window() + static_cast<uint64_t>(&lane - lanes_.data()) * lane_size_;
}

// Counts `wanted` bytes as in the pool, or as many as still fit.
uint64_t WarmPool::room_for(uint64_t wanted) {
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

uint64_t WarmPool::ready() const {
    uint64_t bytes = 0;
    for (const Lane& lane : lanes_)
        if (lane.state == State::unclean || lane.state == State::clean)
            bytes += beyond(lane.zeroed, lane.taken);
    return bytes;
}

uint64_t WarmPool::unclean() const {
    uint64_t bytes = 0;
    for (const Lane& lane : lanes_)
        if (lane.state == State::unclean) bytes += beyond(lane.size, lane.zeroed);
    return bytes;
}

uint64_t WarmPool::resident_bytes() const {
    return anonymous_bytes(reservation_.window(), 2 * reservation_.size());
}

void WarmPool::call_cleaner() {
    work_.release();
}

// ---- the cleaner ----

void WarmPool::clean() {
    begin_thread(ThreadKind::pool, "pool");
    while (!stops_) {
        auto next = Clock::now() + time_per_huge_page;
        if (Lane* lane = next_unclean()) {
            zero_some(*lane);
            std::this_thread::sleep_until(next);
        } else if (bytes_ == capacity_) {
            work_.acquire();
        } else if (now_ns() - last_call_ns_ < std::chrono::nanoseconds(quiet_before_refill).count() ||
                   !refill_some()) {
            (void)work_.try_acquire_for(quiet_before_refill);
        }
    }
}

WarmPool::Lane* WarmPool::next_unclean() {
    for (Lane& lane : lanes_)
        if (lane.state.load(std::memory_order_acquire) == State::unclean) return &lane;
    return nullptr;
}

// The next huge page. What is no huge page becomes one, if the host has one.
void WarmPool::zero_some(Lane& lane) {
    if (lane.zeroed == 0 && !make_writable(lane)) return;
    std::byte* at = lane.at + lane.zeroed;
    if (!is_one_huge_page(at)) (void)madvise(at, huge, MADV_DONTNEED);
    std::memset(at, 0, huge);
    uint64_t zeroed = lane.zeroed + huge;
    lane.zeroed.store(zeroed, std::memory_order_release);
    if (zeroed == lane.size) lane.state = State::clean;
}

// The guest may have made it read-only. False: the host refuses, and has the memory back.
bool WarmPool::make_writable(Lane& lane) {
    if (mprotect(lane.at, lane.size, PROT_READ | PROT_WRITE) == 0) return true;
    munmap(lane.at, lane.size);
    bytes_ -= lane.size;
    lane.state = State::free;
    return false;
}

// Fetches memory that is then zeroed as all other is: this is what makes the host provide it.
bool WarmPool::refill_some() {
    Lane* lane = free_lane();
    if (!lane) return false;
    lane->at = start_of(*lane);
    lane->size = room_for(refill_piece);
    lane->taken = lane->zeroed = 0;
    if (lane->size == 0 || map_fresh(lane->at, lane->size) != 0) {
        bytes_ -= lane->size;
        lane->state = State::free;
        return false;
    }
    lane->state = State::unclean;
    return true;
}

}  // namespace gpremap
