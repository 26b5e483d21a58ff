// What the host takes for the calls that a move consists of, without a VM, beside a copy of as much: no call
// of the guest can be faster, and what it takes more is KVM's and ours. `meson test --benchmark -C build -v`
// measures.
#include <benchmark/benchmark.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <thread>

#include "vmm/bench/host_memory.h"
#include "vmm/sandbox/sandbox.h"

namespace gpremap {
namespace {

constexpr uint64_t mib = 1ull << 20;

// Nothing, and the reason in `state`, where the host has not that much of it.
std::unique_ptr<HostMemory> memory_for(benchmark::State& state, Backing backing, uint64_t size) {
    try {
        return std::make_unique<HostMemory>(backing, size);
    } catch (const std::exception& lack) {
        state.SkipWithError(lack.what());
        return nullptr;
    }
}

uint64_t size_of(const benchmark::State& state) {
    return static_cast<uint64_t>(state.range(0)) * mib;
}

// mremap, and mmap of nothing where the memory was.
void time_moves(benchmark::State& state, HostMemory& memory) {
    for (auto _ : state) state.SetIterationTime(static_cast<double>(memory.move()) / 1e9);
}

void move(benchmark::State& state, Backing backing) {
    if (auto memory = memory_for(state, backing, size_of(state))) time_moves(state, *memory);
}

// The same in a thread that has the filter of a vCPU's: what confinement costs a call that takes little otherwise.
void confined_move(benchmark::State& state, Backing backing) {
    auto memory = memory_for(state, backing, size_of(state));
    if (!memory) return;
    confine_threads();
    std::thread([&] {
        begin_thread(ThreadKind::vcpu, "vcpu0");
        time_moves(state, *memory);
    }).join();
}

void give_back(benchmark::State& state, Backing backing) {
    auto memory = memory_for(state, backing, size_of(state));
    if (!memory) return;
    for (auto _ : state) state.SetIterationTime(static_cast<double>(memory->give_back()) / 1e9);
}

// Into memory that has been touched.
void copy(benchmark::State& state) {
    auto from = memory_for(state, Backing::anon, size_of(state));
    auto to = memory_for(state, Backing::anon, size_of(state));
    if (!from || !to) return;
    for (auto _ : state) {
        std::memcpy(to->here(), from->here(), size_of(state));
        benchmark::ClobberMemory();
    }
}

void sizes(benchmark::internal::Benchmark* bench) {
    bench->ArgName("MiB")->Arg(2)->Arg(64)->Arg(256)->Arg(1024)->Unit(benchmark::kMicrosecond);
    bench->Repetitions(9)->ReportAggregatesOnly();
}

BENCHMARK(copy)->Apply(sizes)->UseRealTime();
BENCHMARK_CAPTURE(move, anon, Backing::anon)->Apply(sizes)->UseManualTime();
BENCHMARK_CAPTURE(move, memfd, Backing::memfd)->Apply(sizes)->UseManualTime();
BENCHMARK_CAPTURE(move, hugetlb_2m, Backing::hugetlb_2m)->Apply(sizes)->UseManualTime();
BENCHMARK_CAPTURE(confined_move, anon, Backing::anon)->Apply(sizes)->UseManualTime();
BENCHMARK_CAPTURE(give_back, anon, Backing::anon)->Apply(sizes)->UseManualTime()->Iterations(3);

}  // namespace
}  // namespace gpremap

BENCHMARK_MAIN();
