#include "vmm/bench/benches.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "vmm/base/errors.h"
#include "vmm/bench/host_memory.h"
#include "vmm/bench/neighbour.h"
#include "vmm/bench/ranges.h"
#include "vmm/bench/rig.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

constexpr uint64_t base_extents = 10;
constexpr uint64_t large_page = 2ull << 20;  // bytes
constexpr uint64_t read_write = GPREMAP_PROT_READ | GPREMAP_PROT_WRITE;

// A slot of the rig's VM that no range has, over memory of the same kind: moved by the bare ioctl.
class BareSlot {
  public:
    BareSlot(Rig& rig, const BenchSetting& setting)
        : rig_(rig),
          size_(setting.size),
          memory_(setting.backing, setting.size),
          slot_(rig.machine().vm().capabilities().memslots - 1),
          shuttle_(Rig::place(4), Rig::place(5)) {
        set(shuttle_.here(), size_);
    }
    ~BareSlot() { set(shuttle_.here(), 0); }
    BareSlot(const BareSlot&) = delete;
    BareSlot& operator=(const BareSlot&) = delete;

    uint64_t move() {
        rig_.read(shuttle_.here(), size_);
        auto begin = std::chrono::steady_clock::now();
        set(shuttle_.there(), size_);
        auto took = std::chrono::steady_clock::now() - begin;
        shuttle_.arrive();
        return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(took).count());
    }

  private:
    void set(uint64_t gpa, uint64_t size) {
        rig_.machine().vm().set_memory(slot_, gpa, size, memory_.here(), 0);
    }

    Rig& rig_;
    uint64_t size_;
    HostMemory memory_;
    uint32_t slot_;
    Shuttle shuttle_;
};

// Slots of the rig's VM over both places of memory of the same kind: KVM has it mapped when the bare calls
// move it, as it has the memory of a range.
class BareWindow {
  public:
    BareWindow(Rig& rig, const BenchSetting& setting)
        : rig_(rig),
          size_(setting.size),
          memory_(setting.backing, setting.size),
          first_slot_(rig.machine().vm().capabilities().memslots - 2),
          shuttle_(Rig::place(4), Rig::place(5)) {
        set(first_slot_, shuttle_.here(), size_, memory_.here());
        set(first_slot_ + 1, shuttle_.there(), size_, memory_.there());
    }
    ~BareWindow() {
        for (uint32_t slot : {first_slot_, first_slot_ + 1}) set(slot, shuttle_.here(), 0, memory_.here());
    }
    BareWindow(const BareWindow&) = delete;
    BareWindow& operator=(const BareWindow&) = delete;

    uint64_t move() {
        rig_.read(shuttle_.here(), size_);
        shuttle_.arrive();
        return memory_.move();
    }

  private:
    void set(uint32_t slot, uint64_t gpa, uint64_t size, std::byte* host) {
        rig_.machine().vm().set_memory(slot, gpa, size, host, 0);
    }

    Rig& rig_;
    uint64_t size_;
    HostMemory memory_;
    uint32_t first_slot_;
    Shuttle shuttle_;
};

// Memory that KVM knows nothing of.
class BareMemory {
  public:
    BareMemory(Rig&, const BenchSetting& setting) : memory_(setting.backing, setting.size) {}
    uint64_t move() { return memory_.move(); }

  private:
    HostMemory memory_;
};

template <typename Bare>
BenchSamples beside_bare(const BenchSetting& setting) {
    Rig rig(setting, setting.size);
    MovingRange range(rig, setting.size);
    Bare bare(rig, setting);
    auto ours = [&] {
        range.read();
        return call_ns(range.move());
    };
    return take_turns(setting.runs, ours, [&] { return bare.move(); });
}

// With a pool, of the measured size: a refill of what the kept part takes would only disturb.
BenchSamples reclaim(const BenchSetting& setting) {
    Rig rig(setting, setting.size + BreathingRange::kept(setting));
    BreathingRange range(rig, setting);
    HostMemory bare(setting.backing, setting.size);
    auto ours = [&] {
        range.wait_for_pool();
        range.grow();
        Performed done = range.shrink();
        if (done.call->pool.given != setting.pool)
            throw HostLacks(
                "the warm pool fetched new memory before the old came back: this host takes longer "
                "than a second to write to it; make --max-size smaller");
        return call_ns(done);
    };
    return take_turns(setting.runs, ours, [&] { return bare.give_back(); });
}

// Extents of one granule side by side, kept apart by their rights, and one more that moves.
class CrowdedRig {
  public:
    CrowdedRig(const BenchSetting& setting, uint64_t extents)
        : rig_(with_extents(setting, extents), extents * setting.granule), range_(rig_, setting.size) {
        for (uint64_t first = 1; first < extents; first += GPREMAP_MAX_BATCH)
            map_batch(first, std::min(first + GPREMAP_MAX_BATCH, extents), setting.granule);
        if (rig_.machine().remapper().map().size() != extents)
            throw std::logic_error("extents that should be apart have become one");
    }

    uint64_t move() {
        range_.read();
        return range_.move().guest_ns;
    }

  private:
    static BenchSetting with_extents(BenchSetting setting, uint64_t extents) {
        setting.extents = extents;
        return setting;
    }

    void map_batch(uint64_t first, uint64_t end, uint64_t granule) {
        std::vector<abi::BatchCall> calls;
        for (uint64_t i = first; i < end; i++)
            calls.push_back({static_cast<uint64_t>(abi::Call::map),
                             {Rig::place(2) + i * granule, granule, i % 2 ? read_write : GPREMAP_PROT_READ},
                             0});
        rig_.batch(calls);
    }

    Rig rig_;
    MovingRange range_;
};

// Waits for as long as something else took, at work as that was.
void spin(std::chrono::steady_clock::duration length) {
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < length) std::this_thread::yield();
}

// Ours with a move in the middle, the baseline with as long a time without one.
BenchSamples stalls(const BenchSetting& setting, MovingRange& range, Neighbour& neighbour) {
    std::chrono::steady_clock::duration length{};
    auto ours = [&] {
        range.read();
        return neighbour.longest_gap([&] {
            const auto begin = std::chrono::steady_clock::now();
            range.move();
            length = std::chrono::steady_clock::now() - begin;
        });
    };
    auto baseline = [&] {
        range.read();
        return neighbour.longest_gap([&] { spin(length); });
    };
    return take_turns(setting.runs, ours, baseline);
}

// Bytes that the second vCPU writes to.
uint64_t written(const BenchSetting& setting) {
    return std::max(large_page, setting.granule);
}

// The call with nothing to do gives a range the rights that it has.
abi::BatchCall idle_call(const BenchSetting& setting) {
    return {static_cast<uint64_t>(abi::Call::protect), {Rig::place(0), setting.size, read_write}, 0};
}

}  // namespace

namespace {

// What a remap costs beside the copy that it replaces; `reread`: with one word of every page read after it.
enum class Reread { no, yes };
BenchSamples beside_copy(const BenchSetting& setting, Reread reread) {
    Rig rig(setting, 2 * setting.size);
    MovingRange range(rig, setting.size);
    constexpr uint64_t target = Rig::place(2);
    rig.map(target, setting.size);
    auto ours = [&] {
        range.read();
        uint64_t ns = range.move().guest_ns;
        return reread == Reread::yes ? ns + range.read().guest_ns : ns;
    };
    auto baseline = [&] {
        range.read();
        rig.write(target, setting.size);
        return rig.copy(range.at(), target, setting.size).guest_ns;
    };
    return take_turns(setting.runs, ours, baseline);
}

}  // namespace

BenchSamples bench_move(const BenchSetting& setting) {
    return beside_copy(setting, Reread::no);
}

BenchSamples bench_move_and_reread(const BenchSetting& setting) {
    return beside_copy(setting, Reread::yes);
}

BenchSamples bench_overhead(const BenchSetting& setting) {
    if (setting.mechanism == Mechanism::memslot) return beside_bare<BareSlot>(setting);
    return beside_bare<BareWindow>(setting);
}

BenchSamples bench_overhead_without_slot(const BenchSetting& setting) {
    return beside_bare<BareMemory>(setting);
}

BenchSamples bench_retouch(const BenchSetting& setting) {
    Rig rig(setting, setting.size);
    MovingRange range(rig, setting.size);
    auto ours = [&] {
        range.move();
        return range.read().guest_ns;
    };
    return take_turns(setting.runs, ours, [&] { return range.read().guest_ns; });
}

BenchSamples bench_reclaim(const BenchSetting& setting) {
    return reclaim(setting);
}

BenchSamples bench_reclaim_to_pool(const BenchSetting& setting) {
    return reclaim(with_pool(setting));
}

BenchSamples bench_install(const BenchSetting& setting) {
    Rig rig(setting, setting.size + BreathingRange::kept(setting));
    BreathingRange range(rig, setting);
    auto cold = [&] {
        uint64_t ns = range.grow();
        range.shrink();
        return ns;
    };
    return take_turns(setting.runs, cold, cold);
}

BenchSamples bench_install_from_pool(const BenchSetting& setting) {
    const BenchSetting pooled = with_pool(setting);
    Rig warm_rig(pooled, setting.size + BreathingRange::kept(setting)),
        cold_rig(setting, setting.size + BreathingRange::kept(setting));
    BreathingRange warm(warm_rig, pooled), cold(cold_rig, setting);
    auto cycle = [](BreathingRange& range) {
        range.wait_for_pool();
        uint64_t ns = range.grow();
        range.shrink();
        return ns;
    };
    return take_turns(
        setting.runs, [&] { return cycle(warm); }, [&] { return cycle(cold); });
}

BenchSamples bench_alias(const BenchSetting& setting) {
    Rig rig(setting, 2 * setting.size);
    constexpr uint64_t from = Rig::place(0), view = Rig::place(1), target = Rig::place(2);
    for (uint64_t at : {from, target}) rig.map(at, setting.size);
    auto ours = [&] {
        rig.write(from, setting.size);
        Performed done = rig.call(abi::Call::alias, {from, view, setting.size, GPREMAP_PROT_PREVIOUS, 0});
        rig.call(abi::Call::unmap, {view, setting.size});
        return done.guest_ns;
    };
    auto baseline = [&] {
        rig.write(from, setting.size);
        rig.write(target, setting.size);
        return rig.copy(from, target, setting.size).guest_ns;
    };
    return take_turns(setting.runs, ours, baseline);
}

BenchSamples bench_scale(const BenchSetting& setting) {
    CrowdedRig crowded(setting, setting.extents), sparse(setting, base_extents);
    return take_turns(
        setting.runs, [&] { return crowded.move(); }, [&] { return sparse.move(); });
}

BenchSamples bench_hypercall(const BenchSetting& setting) {
    Rig rig(setting, setting.size);
    rig.map(Rig::place(0), setting.size);
    const abi::BatchCall idle = idle_call(setting);
    auto ours = [&] {
        return rig.call(abi::Call::protect, {idle.arg[0], idle.arg[1], idle.arg[2]}).guest_ns;
    };
    return take_turns(setting.runs, ours, [&] { return rig.call(abi::Call::nop, {}).guest_ns; });
}

namespace {

BenchSetting with_ring(BenchSetting setting) {
    setting.ring = true;
    return setting;
}

}  // namespace

BenchSamples bench_ring(const BenchSetting& setting) {
    Rig by_ring(with_ring(setting), setting.size), by_exit(setting, setting.size);
    const abi::BatchCall idle = idle_call(setting);
    for (Rig* rig : {&by_ring, &by_exit}) rig->map(Rig::place(0), setting.size);
    auto call = [&](Rig& rig) {
        return rig.call(abi::Call::protect, {idle.arg[0], idle.arg[1], idle.arg[2]}).guest_ns;
    };
    return take_turns(
        setting.runs, [&] { return call(by_ring); }, [&] { return call(by_exit); });
}

BenchSamples bench_ring_move_and_reread(const BenchSetting& setting) {
    return beside_copy(with_ring(setting), Reread::yes);
}

BenchSamples bench_batch(const BenchSetting& setting) {
    Rig rig(setting, setting.size);
    rig.map(Rig::place(0), setting.size);
    const std::vector<abi::BatchCall> calls(GPREMAP_MAX_BATCH, idle_call(setting));
    auto ours = [&] { return rig.batch(calls).guest_ns / calls.size(); };
    return take_turns(setting.runs, ours, [&] { return rig.call(abi::Call::nop, {}).guest_ns; });
}

BenchSamples bench_batched_maps(const BenchSetting& setting) {
    Rig rig(setting, GPREMAP_MAX_BATCH * setting.granule);
    const uint64_t page = setting.granule;
    auto at = [&](uint64_t index) { return Rig::place(0) + index * page; };
    std::vector<abi::BatchCall> maps, unmaps;
    for (uint64_t i = 0; i < GPREMAP_MAX_BATCH; i++) {
        maps.push_back({static_cast<uint64_t>(abi::Call::map), {at(i), page, read_write}, 0});
        unmaps.push_back({static_cast<uint64_t>(abi::Call::unmap), {at(i), page}, 0});
    }
    auto batch = [&](const std::vector<abi::BatchCall>& calls) { return rig.batch(calls).guest_ns; };
    auto single = [&](const abi::BatchCall& call) {
        return rig.call(static_cast<abi::Call>(call.number), std::to_array(call.arg)).guest_ns;
    };
    auto ours = [&] { return (batch(maps) + batch(unmaps)) / GPREMAP_MAX_BATCH; };
    auto baseline = [&] { return single(maps[0]) + single(unmaps[0]); };
    return take_turns(setting.runs, ours, baseline);
}

BenchSamples bench_stall_elsewhere(const BenchSetting& setting) {
    Rig rig(setting, setting.size + written(setting));
    MovingRange range(rig, setting.size);
    constexpr uint64_t elsewhere = Rig::place(2);
    rig.map(elsewhere, written(setting));
    rig.write(elsewhere, written(setting));
    Neighbour neighbour(rig, abi::FaultKind::write, {elsewhere, elsewhere}, large_page);
    return stalls(setting, range, neighbour);
}

BenchSamples bench_stall_in_range(const BenchSetting& setting) {
    Rig rig(setting, setting.size);
    MovingRange range(rig, setting.size);
    Neighbour neighbour(rig, abi::FaultKind::write, {Rig::place(0), Rig::place(1)},
                        std::min(setting.size, large_page));
    return stalls(setting, range, neighbour);
}

}  // namespace gpremap
