// The pure core, by the number of extents in the map: `meson test --benchmark -C build` measures, and a smoke
// run is among the unit tests. What a call on the whole program costs, `gpremap bench` says.
#include <benchmark/benchmark.h>

#include <map>
#include <stdexcept>

#include "remap/coalesce.h"
#include "remap/linux.h"
#include "remap/native.h"
#include "remap/space.h"

namespace remap {
namespace {

constexpr uint64_t page = 4096;
constexpr uint64_t gib = 1ull << 30;
constexpr uint64_t base = 4 * gib;
constexpr uint64_t rw = 3, read_only = 1;
// The range that calls are about, and where it goes.
constexpr uint64_t range = base, range_size = 64 * page, target = base + gib;
constexpr uint64_t crowd = base + 8 * gib;

Space after(Answer answer) {
    if (!answer) throw std::logic_error("a call that is to be measured fails");
    return std::move(answer->after);
}

// One range, and as many extents of a page side by side, kept apart by their rights.
const Space& crowded(int64_t extents) {
    static std::map<int64_t, Space> made;
    auto found = made.find(extents);
    if (found != made.end()) return found->second;
    Space space(Range::of(Gpa{base}, Size{64 * gib}), kib4, FreshMemory::anon, {});
    space = after(native::map(space, range, range_size, rw, 0));
    for (uint64_t i = 0; i < static_cast<uint64_t>(extents); ++i)
        space = after(native::map(space, crowd + i * page, page, i % 2 ? rw : read_only, 0));
    return made.emplace(extents, std::move(space)).first->second;
}

// A call is planned again and again on the same space, which planning leaves as it is.
template <class Call>
void plan(benchmark::State& state, Call call) {
    const Space& space = crowded(state.range(0));
    for (auto _ : state) {
        Answer answer = call(space);
        if (!answer) throw std::logic_error("a call that is measured fails");
        benchmark::DoNotOptimize(answer);
    }
    state.SetComplexityN(state.range(0));
}

void map_anywhere(benchmark::State& state) {
    plan(state,
         [](const Space& space) { return native::map(space, 0, range_size, rw, native::flag::anywhere); });
}
void move(benchmark::State& state) {
    plan(state, [](const Space& space) { return native::move(space, range, target, range_size, 0); });
}
void grow(benchmark::State& state) {
    plan(state, [](const Space& space) { return native::grow(space, range, range_size, 2 * range_size, 0); });
}
void alias(benchmark::State& state) {
    plan(state, [](const Space& space) { return native::alias(space, range, target, range_size, rw, 0); });
}
void linux_mremap_that_moves(benchmark::State& state) {
    constexpr uint64_t fixed = linux_calls::mremap_maymove | linux_calls::mremap_fixed;
    plan(state, [](const Space& space) {
        return linux_calls::mremap(space, range, range_size, range_size, fixed, target);
    });
}
void unmap_in_the_crowd(benchmark::State& state) {
    plan(state, [](const Space& space) { return native::unmap(space, crowd + 2 * page, page); });
}

// Between extents of a page there are gaps of 2 MiB, and none is where 2 MiB could be one huge page.
void map_anywhere_among_odd_gaps(benchmark::State& state) {
    constexpr uint64_t mib2 = 2ull << 20;
    Space space(Range::of(Gpa{base}, Size{256 * gib}), kib4, FreshMemory::anon, {});
    for (uint64_t i = 0; i < static_cast<uint64_t>(state.range(0)); ++i)
        space = after(native::map(space, base + i * (mib2 + page) + page, page, rw, 0));
    for (auto _ : state) benchmark::DoNotOptimize(native::map(space, 0, mib2, rw, native::flag::anywhere));
    state.SetComplexityN(state.range(0));
}

void find_extent(benchmark::State& state) {
    const Space& space = crowded(state.range(0));
    uint64_t at = crowd;
    for (auto _ : state) {
        benchmark::DoNotOptimize(space.find(Gpa{at}));
        at = crowd + (at - crowd + 7 * page) % (static_cast<uint64_t>(state.range(0)) * page);
    }
    state.SetComplexityN(state.range(0));
}

void copy_space(benchmark::State& state) {
    const Space& space = crowded(state.range(0));
    for (auto _ : state) {
        Space copy = space;
        benchmark::DoNotOptimize(copy);
    }
    state.SetComplexityN(state.range(0));
}

// There and back, with the map as it was in the end.
void round_trip(benchmark::State& state) {
    Space space = crowded(state.range(0));
    const uint64_t mappings = space.mapping_count();
    for (auto _ : state) {
        space = after(native::move(space, range + 8 * page, target, 8 * page, 0));
        space = after(native::move(space, target, range + 8 * page, 8 * page, 0));
    }
    if (space.mapping_count() != mappings) throw std::logic_error("a round trip has left the map in pieces");
    state.SetComplexityN(state.range(0));
}

// The changes of a batch of that many maps side by side.
void coalesce_batch(benchmark::State& state) {
    std::vector<Change> changes;
    for (uint64_t i = 0; i < static_cast<uint64_t>(state.range(0)); ++i)
        changes.push_back(change::Map{Range::of(Gpa{base + i * page}, kib4), {}, read_write});
    for (auto _ : state) benchmark::DoNotOptimize(coalesced(changes));
    state.SetComplexityN(state.range(0));
}

void extents(benchmark::internal::Benchmark* bench) {
    bench->Arg(10)->Arg(1000)->Arg(30000)->Complexity(benchmark::oLogN);
}

BENCHMARK(map_anywhere)->Apply(extents);
BENCHMARK(move)->Apply(extents);
BENCHMARK(grow)->Apply(extents);
BENCHMARK(alias)->Apply(extents);
BENCHMARK(linux_mremap_that_moves)->Apply(extents);
BENCHMARK(unmap_in_the_crowd)->Apply(extents);
BENCHMARK(map_anywhere_among_odd_gaps)->Apply(extents);
BENCHMARK(find_extent)->Apply(extents);
BENCHMARK(copy_space)->Apply(extents);
BENCHMARK(round_trip)->Apply(extents);
BENCHMARK(coalesce_batch)->Arg(1)->Arg(16)->Arg(256)->Complexity(benchmark::oN);

}  // namespace
}  // namespace remap

BENCHMARK_MAIN();
