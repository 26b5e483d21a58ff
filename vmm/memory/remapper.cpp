#include "vmm/memory/remapper.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <new>
#include <optional>

#include "remap/coalesce.h"
#include "remap/native.h"
#include "vmm/calls/batch.h"
#include "vmm/calls/catalogue.h"
#include "vmm/host/process_limits.h"
#include "vmm/host/resident_pages.h"
#include "vmm/hostmemory/backing_object.h"
#include "vmm/kvm/vm.h"
#include "vmm/memory/beside_call.h"
#include "vmm/memory/memslots.h"
#include "vmm/memory/object_pool.h"
#include "vmm/memory/prediction.h"
#include "vmm/memory/warm_pool.h"
#include "vmm/memory/window.h"

namespace gpremap {
namespace {

using remap::Gpa;
using remap::Range;
using remap::Size;
using Clock = std::chrono::steady_clock;

uint64_t now_ns() {
    return static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count());
}

int64_t minus(remap::Errno error) {
    return -static_cast<int64_t>(error);
}

// So that no map of the guest's takes more mappings than Linux allows a process. An extent takes up to two, its
// own and the closed place behind it; what moves leave (Window::may_leave) takes 1024 at most, and what has yet to be
// copied its part; the rest of the program less than 1024.
uint64_t most_extents() {
    return (most_mappings() - LateCopies::mappings_kept_of(most_mappings())) / 2 - 1024;
}

remap::Limits limits_of(const MemoryConfig& config) {
    return {Size{config.limit}, Size{config.lock_limit}, config.max_extents, most_extents()};
}

remap::Space empty_space(const MemoryConfig& config) {
    bool anon = traits_of(config.backing).begins_anonymous;
    return {Range::of(Gpa{config.aperture_base}, Size{config.aperture_size}), Size{config.granule},
            anon ? remap::FreshMemory::anon : remap::FreshMemory::object, limits_of(config)};
}

std::unique_ptr<Stage2> stage2_for(Vm& vm, const MemoryConfig& config, const Range& aperture,
                                   const BackingObject& object) {
    if (config.mechanism == Mechanism::memslot) return std::make_unique<Memslots>(vm, aperture, object);
    return std::make_unique<Window>(vm, aperture, object, config.mechanism);
}

// Where the changes put memory that may have been touched already.
std::vector<Range> targets_of(const std::vector<remap::Change>& changes) {
    namespace change = remap::change;
    std::vector<Range> targets;
    for (const remap::Change& any : changes) {
        if (const auto* move = std::get_if<change::Move>(&any)) {
            targets.push_back(Range::of(move->to, move->from.size()));
        } else if (const auto* exchange = std::get_if<change::Exchange>(&any)) {
            targets.push_back(exchange->a);
            targets.push_back(exchange->b);
        } else if (const auto* map = std::get_if<change::Map>(&any)) {
            targets.push_back(map->range);  // from the warm pool
        }
    }
    return targets;
}

std::unique_ptr<WarmPool> pool_for(const MemoryConfig& config) {
    if (config.pool == 0 || !traits_of(config.backing).begins_anonymous) return nullptr;
    return std::make_unique<WarmPool>(config.pool, config.pool_cleaner);
}

std::unique_ptr<ObjectPool> pool_for(const MemoryConfig& config, const BackingObject& object) {
    if (config.pool == 0 || traits_of(config.backing).begins_anonymous) return nullptr;
    const uint64_t unit = std::max(config.granule, remap::mib2.bytes);
    return std::make_unique<ObjectPool>(object, config.pool, unit, config.pool_cleaner);
}

}  // namespace

struct Remapper::State {
    State(Vm& the_vm, const MemoryConfig& the_config)
        : vm(the_vm),
          config(the_config),
          object(config.backing),
          backing_pages(gpremap::backing_pages(object)),
          space(empty_space(config)),
          pool(pool_for(config)),
          object_pool(pool_for(config, object)),
          stage2(stage2_for(vm, config, space.aperture(), object)),
          others(vm, config.pause) {
        if (pool) stage2->use(*pool);
        if (object_pool) stage2->use(*object_pool);
        if (config.pre_fault) open_page_map();  // which vCPUs ask
        if (config.snapshots == SnapshotCopies::later && LateCopies::mappings_kept_of(most_mappings()) > 0)
            stage2->late_copies().start(mutex, [this] { vm.gate().shut(std::current_exception()); });
    }

    int64_t call(const Caller& caller, abi::Call number, const std::array<uint64_t, 6>& args, Called& called);
    int64_t query(const Caller& caller, const std::array<uint64_t, 6>& args);
    int64_t batch(const Caller& caller, const std::array<uint64_t, 6>& args, Called& called);
    int64_t batch(const Caller& caller, std::span<abi::BatchCall> calls, Called& called);
    template <class Make>
    Called recorded(Make make);
    int apply(const Caller& caller, remap::Plan& plan, Called& called, const char* need);
    template <class Copy>
    void or_stop(Copy copy);
    int apply_or_stop(const Caller& caller, const remap::Plan& plan, Mechanism mechanism,
                      std::optional<PausedVcpus>& kept_out);
    Pool* any_pool() const;
    void offer_ready_pages();
    void begin_counting();
    void end_counting(CallRecord& record);
    std::vector<remap::stage2::Piece> possible_pieces(const Range& range) const;
    Backing backing_of(const remap::Extent& extent) const;

    Vm& vm;
    MemoryConfig config;
    BackingObject object;
    const BackingPages backing_pages;

    mutable std::mutex mutex;  // held by the call in progress; guards all below
    remap::Space space;
    std::unique_ptr<WarmPool> pool;  // one of them, where one is configured
    std::unique_ptr<ObjectPool> object_pool;
    std::unique_ptr<Stage2> stage2;
    OtherVcpusKeeper others;

    // Since when each vCPU waits on its own fault, in now_ns(); 0 while it does not.
    std::array<std::atomic<uint64_t>, abi::max_vcpus> waiting_since{};
    std::atomic<uint64_t> generation = 0;
};

Remapper::Remapper(Vm& vm, const MemoryConfig& config) : state_(std::make_unique<State>(vm, config)) {}
Remapper::~Remapper() = default;

// `make` returns the call's result.
template <class Make>
Called Remapper::State::recorded(Make make) {
    std::lock_guard lock(mutex);
    vm.gate().check();
    generation++;
    begin_counting();
    Called called;
    try {
        called.result = make(called);
    } catch (const std::bad_alloc&) {
        // Planning and Stage2::apply leave everything as it was.
        called.result = minus(remap::Errno::enomem);
    }
    end_counting(called.record);
    generation++;
    return called;
}

Called Remapper::call(const Caller& caller, abi::Call number, const std::array<uint64_t, 6>& args) {
    return state_->recorded([&](Called& called) { return state_->call(caller, number, args, called); });
}

Called Remapper::batch(const Caller& caller, std::span<abi::BatchCall> calls) {
    return state_->recorded([&](Called& called) { return state_->batch(caller, calls, called); });
}

uint64_t Remapper::generation() const {
    return state_->generation;
}

int64_t Remapper::State::call(const Caller& caller, abi::Call number, const std::array<uint64_t, 6>& args,
                              Called& called) {
    if (number == abi::Call::query) return query(caller, args);
    if (number == abi::Call::batch) return batch(caller, args, called);
    offer_ready_pages();
    auto plan = plan_call(space, number, args);
    if (!plan) return minus(plan.error());
    if (int error = apply(caller, *plan, called, nullptr)) return -error;
    return static_cast<int64_t>(plan->result.value);
}

// Makes the plan true, or changes nothing and returns the errno. ENOMEM is the host's; anything else that
// the host refuses is a defect of the VMM and not the guest's business.
int Remapper::State::apply(const Caller& caller, remap::Plan& plan, Called& called, const char* need) {
    plan.changes = remap::coalesced(plan.changes);
    or_stop([&] { stage2->late_copies().finish_for(plan.changes); });
    const uint64_t deferred = stage2->late_copies().counts().deferred;
    if (!stage2->has_mappings_for(plan.changes, plan.after)) return ENOMEM;
    Stage2::Choice choice = stage2->choose(plan.changes, space);
    CallRecord& record = called.record;
    record.mechanism = choice.mechanism;
    record.mechanism_reason = choice.reason;
    record.beside = {OtherVcpus::idle, "", choice.flushes};
    if (!need) need = reason_to_pause(plan.changes, space, choice.mechanism);
    auto kept_out = others.keep_out(caller.vcpu, need, reason_to_run_on(plan.changes), *record.beside);
    std::vector<Range> where = config.pre_fault ? targets_of(plan.changes) : std::vector<Range>{};
    int error = apply_or_stop(caller, plan, choice.mechanism, kept_out);
    if (error == ENOMEM || error == ENOSPC || error == EAGAIN) return ENOMEM;
    if (error != 0) throw std::system_error(error, std::generic_category(), "carrying out a call");
    space = std::move(plan.after);
    called.targets = std::move(where);
    record.bytes += plan.bytes.bytes;
    record.deferred_bytes += stage2->late_copies().counts().deferred - deferred;
    if (Pool* any = any_pool()) record.pool = any->counts();
    record.moved = record.moved || plan.moved;
    record.huge_kept = record.huge_kept && plan.huge_kept;
    return 0;
}

// Where what has failed cannot be undone either, the map is neither the old one nor the new: no vCPU runs on with it, and
// every later call throws that, too.
int Remapper::State::apply_or_stop(const Caller& caller, const remap::Plan& plan, Mechanism mechanism,
                                   std::optional<PausedVcpus>& kept_out) {
    try {
        return stage2->apply(plan.changes, mechanism,
                             kept_out ? Stage2::Others::kept_out : Stage2::Others::may_run);
    } catch (...) {
        if (!kept_out) kept_out.emplace(vm.pause_others(caller.vcpu));
        vm.gate().shut(std::current_exception());
        throw;
    }
}

// For what has been put off: no vCPU may go on without it.
template <class Copy>
void Remapper::State::or_stop(Copy copy) {
    try {
        copy();
    } catch (...) {
        vm.gate().shut(std::current_exception());
        throw;
    }
}

Pool* Remapper::State::any_pool() const {
    if (object_pool) return object_pool.get();
    return pool.get();
}

// To whatever is planned next.
void Remapper::State::offer_ready_pages() {
    if (object_pool) space.offer(object_pool->offer());
}

void Remapper::State::begin_counting() {
    stage2->calls().reset_counts();
    if (Pool* any = any_pool()) any->reset_counts();
}

// Whoever waits now will wait no longer: the call is over.
void Remapper::State::end_counting(CallRecord& record) {
    record.syscalls = stage2->calls().counts();
    for (unsigned vcpu = 0; vcpu < abi::max_vcpus; vcpu++) {
        uint64_t since = waiting_since[vcpu];
        record.stall_ns[vcpu] = since == 0 ? 0 : now_ns() - since;
    }
}

// Writes what fits into the caller's buffer; the count tells it whether that was all.
int64_t Remapper::State::query(const Caller& caller, const std::array<uint64_t, 6>& args) {
    const auto [at, len, buffer, capacity, unused0, unused1] = args;
    auto extents = remap::native::query(space, at, len);
    if (!extents) return minus(extents.error());
    const auto pieces = possible_pieces(Range::of(Gpa{at}, Size{len}));
    std::vector<abi::ExtentInfo> infos;
    for (const remap::Extent& extent : *extents) {
        if (infos.size() == capacity) break;
        auto outlook = remap::stage2::outlook_of(pieces, extent.range);
        infos.push_back(extent_info(extent, remap::stage2::page_size(outlook.largest).bytes));
    }
    if (!caller.memory.write(buffer, infos.data(), infos.size() * sizeof(abi::ExtentInfo)))
        return minus(remap::Errno::efault);
    return static_cast<int64_t>(extents->size());
}

int64_t Remapper::State::batch(const Caller& caller, const std::array<uint64_t, 6>& args, Called& called) {
    const auto [address, count, unused0, unused1, unused2, unused3] = args;
    if (!is_batch_size(count)) return minus(remap::Errno::einval);
    std::vector<abi::BatchCall> calls(count);
    uint64_t bytes = count * sizeof(abi::BatchCall);
    if (!caller.memory.read(address, calls.data(), bytes)) return minus(remap::Errno::efault);

    if (int64_t error = batch(caller, calls, called)) return error;
    // The calls were read from there a moment ago, so this can only succeed.
    if (!caller.memory.write(address, calls.data(), bytes))
        throw std::logic_error("the caller's memory has gone");
    return 0;
}

int64_t Remapper::State::batch(const Caller& caller, std::span<abi::BatchCall> calls, Called& called) {
    if (!is_batch_size(calls.size())) return minus(remap::Errno::einval);
    offer_ready_pages();
    auto plan = plan_batch(space, calls);
    if (!plan) return minus(plan.error());
    return -apply(caller, *plan, called, "nobody is to see half of a batch");
}

FaultVerdict Remapper::fault(unsigned vcpu, uint64_t gpa, abi::FaultKind kind) {
    state_->waiting_since[vcpu] = now_ns();
    std::lock_guard lock(state_->mutex);
    state_->waiting_since[vcpu] = 0;
    const remap::Extent* extent = state_->space.find(Gpa{gpa});
    if (!extent) return FaultVerdict::report;
    // At stage 2 whatever is mapped with any right can be read; see docs/semantics.md.
    bool allowed = kind == abi::FaultKind::write ? extent->prot.allows(remap::writable)
                                                 : extent->prot != remap::no_access;
    if (!allowed) return FaultVerdict::report;
    state_->or_stop([&] { state_->stage2->late_copies().finish_at(Gpa{gpa}); });
    return FaultVerdict::retry;
}

std::vector<Range> Remapper::resident_in(const std::vector<Range>& targets) const {
    if (targets.empty()) return {};  // no need to wait for a call that others are making
    std::lock_guard lock(state_->mutex);
    std::vector<Range> found;
    for (const Range& target : targets)
        for (const auto& piece :
             gpremap::resident_pieces(state_->space, state_->vm, state_->backing_pages, target)) {
            if (!found.empty() && found.back().end() == piece.mapped().start())
                found.back() = Range::between(found.back().start(), piece.mapped().end());
            else
                found.push_back(piece.mapped());
        }
    return found;
}

Backing Remapper::State::backing_of(const remap::Extent& extent) const {
    if (extent.memory.kind == remap::MemoryKind::anon) return Backing::anon;
    return traits_of(config.backing).begins_anonymous ? Backing::memfd : config.backing;
}

std::vector<MapEntry> Remapper::map() const {
    std::lock_guard lock(state_->mutex);
    const auto pieces = state_->possible_pieces(state_->space.aperture());
    std::vector<MapEntry> entries;
    for (const remap::Extent& extent : state_->space.mappings_in(state_->space.aperture())) {
        auto outlook = remap::stage2::outlook_of(pieces, extent.range);
        abi::ExtentInfo info = extent_info(extent, remap::stage2::page_size(outlook.largest).bytes);
        entries.push_back(
            {info.at, info.size, info.prot, info.attributes, state_->backing_of(extent), outlook});
    }
    return entries;
}

std::vector<remap::stage2::Piece> Remapper::State::possible_pieces(const Range& range) const {
    return gpremap::possible_pieces(space, vm, backing_pages, range);
}

std::vector<remap::stage2::Piece> Remapper::possible_pieces() const {
    std::lock_guard lock(state_->mutex);
    return state_->possible_pieces(state_->space.aperture());
}

std::vector<remap::stage2::Piece> Remapper::resident_pieces() const {
    std::lock_guard lock(state_->mutex);
    return gpremap::resident_pieces(state_->space, state_->vm, state_->backing_pages,
                                    state_->space.aperture());
}

LateCopies::Counts Remapper::late_copies() const {
    std::lock_guard lock(state_->mutex);
    return state_->stage2->late_copies().counts();
}

uint64_t Remapper::resident_bytes() const {
    std::lock_guard lock(state_->mutex);
    const ObjectPool* pool = state_->object_pool.get();
    return state_->stage2->anonymous_bytes() +
           (pool ? pool->allocated_elsewhere() : state_->object.allocated());
}

Backing Remapper::backing() const {
    return state_->config.backing;
}

PoolContents Remapper::pool() const {
    const Pool* pool = state_->any_pool();
    if (!pool) return {};
    return {pool->ready(), pool->unclean(), pool->resident_bytes()};
}

void Remapper::set_limits(uint64_t memory, uint64_t locked, uint64_t extents) {
    std::lock_guard lock(state_->mutex);
    remap::Space& space = state_->space;
    space.set_limits({Size{memory}, Size{locked}, extents, space.limits().extents});
}

void Remapper::lift_seals() {
    std::lock_guard lock(state_->mutex);
    remap::Space& space = state_->space;
    for (remap::Extent extent : space.extents_in(space.aperture())) {
        space.take(extent.range);
        extent.attributes.sealed = false;
        space.put(extent);
    }
}

void Remapper::fail_host_call(uint64_t nth) {
    std::lock_guard lock(state_->mutex);
    state_->stage2->calls().fail_call(nth);
}

void Remapper::fail_undo(uint64_t nth) {
    std::lock_guard lock(state_->mutex);
    state_->stage2->calls().fail_undo(nth);
}

}  // namespace gpremap
