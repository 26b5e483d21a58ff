#include "vmm/bench/beside.h"

#include "vmm/bench/ranges.h"
#include "vmm/bench/shared_rig.h"

namespace gpremap {
namespace {

// `prepare` is not measured, and `call` returns ns.
template <typename Prepare, typename Call>
BenchSamples beside_and_alone(const BenchSetting& setting, SharedRig& shared, Prepare prepare, Call call) {
    auto ours = [&] {
        prepare();
        return shared.beside(call);
    };
    auto alone = [&] {
        prepare();
        return call();
    };
    return take_turns(setting.runs, ours, alone);
}

}  // namespace

BenchSamples bench_move_beside(const BenchSetting& setting) {
    SharedRig shared(setting, setting.size);
    MovingRange range(shared.rig(), setting.size);
    return beside_and_alone(
        setting, shared, [&] { range.read(); }, [&] { return range.move().guest_ns; });
}

BenchSamples bench_exchange_beside(const BenchSetting& setting) {
    SharedRig shared(setting, 2 * setting.size);
    constexpr uint64_t a = Rig::place(0), b = Rig::place(1);
    for (uint64_t at : {a, b}) {
        shared.rig().map(at, setting.size);
        shared.rig().write(at, setting.size);
    }
    auto prepare = [&] {
        for (uint64_t at : {a, b}) shared.rig().read(at, setting.size);
    };
    auto exchange = [&] { return shared.rig().call(abi::Call::exchange, {a, b, setting.size}).guest_ns; };
    return beside_and_alone(setting, shared, prepare, exchange);
}

BenchSamples bench_reclaim_to_pool_beside(const BenchSetting& setting) {
    const BenchSetting pooled = with_pool(setting);
    SharedRig shared(pooled, setting.size + BreathingRange::kept(setting));
    BreathingRange range(shared.rig(), pooled);
    auto prepare = [&] {
        range.wait_for_pool();
        range.grow();
    };
    return beside_and_alone(setting, shared, prepare, [&] { return range.shrink().guest_ns; });
}

BenchSamples bench_install_from_pool_beside(const BenchSetting& setting) {
    const BenchSetting pooled = with_pool(setting);
    SharedRig shared(pooled, setting.size + BreathingRange::kept(setting));
    BreathingRange range(shared.rig(), pooled);
    bool grown = false;
    auto prepare = [&] {
        if (grown) range.shrink();
        range.wait_for_pool();
        grown = true;
    };
    return beside_and_alone(setting, shared, prepare, [&] { return range.grow(); });
}

BenchSamples bench_gap_beside(const BenchSetting& setting) {
    BenchSetting chosen = setting;
    chosen.pause = Pause::automatic;
    SharedRig forced_rig(setting, setting.size), chosen_rig(chosen, setting.size);
    MovingRange forced_range(forced_rig.rig(), setting.size), chosen_range(chosen_rig.rig(), setting.size);
    auto gap = [](SharedRig& shared, MovingRange& range) {
        range.read();
        return shared.longest_gap([&] { range.move(); });
    };
    return take_turns(
        setting.runs, [&] { return gap(forced_rig, forced_range); },
        [&] { return gap(chosen_rig, chosen_range); });
}

}  // namespace gpremap
