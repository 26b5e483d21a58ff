#include "vmm/bench/break_even.h"

#include <cstdint>

#include "vmm/base/spread.h"
#include "vmm/bench/ranges.h"
#include "vmm/bench/shared_rig.h"

namespace gpremap {
namespace {

constexpr unsigned rounds = 3;  // for each size that is tried; their median counts

enum class Reread { no, yes };

bool move_wins(SharedRig& shared, uint64_t size, Reread reread) {
    Rig& rig = shared.rig();
    constexpr uint64_t target = Rig::place(2);
    MovingRange range(rig, size);
    rig.map(target, size);
    auto move = [&] {
        range.read();
        return shared.beside([&] {
            const uint64_t ns = range.move().guest_ns;
            return reread == Reread::yes ? ns + range.read().guest_ns : ns;
        });
    };
    auto copy = [&] {
        range.read();
        rig.write(target, size);
        return shared.beside([&] { return rig.copy(range.at(), target, size).guest_ns; });
    };
    const BenchSamples samples = take_turns(rounds, move, copy);
    for (uint64_t at : {range.at(), target}) rig.call(abi::Call::unmap, {at, size});
    return spread_of(samples.ours).median < spread_of(samples.baseline).median;
}

uint64_t break_even(SharedRig& shared, const BenchSetting& setting, Reread reread) {
    uint64_t least = 2 * setting.size;
    for (uint64_t size = setting.size; size >= setting.granule && move_wins(shared, size, reread); size /= 2)
        least = size;
    return least;
}

}  // namespace

BenchSamples bench_break_even(const BenchSetting& setting) {
    SharedRig shared(setting, 2 * setting.size);
    return take_turns(
        setting.runs, [&] { return break_even(shared, setting, Reread::yes); },
        [&] { return break_even(shared, setting, Reread::no); });
}

}  // namespace gpremap
