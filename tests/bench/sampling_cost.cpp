// What sampling costs a workload: its throughput with a row of the series each so often, over that without one, side by
// side in one process of the host.
//
//     sampling_cost [rounds]        of 50 ms each; prints the median ratio of each workload
#include <fmt/format.h>

#include <cstdlib>
#include <vector>

#include "tests/guest/agent/native.h"
#include "vmm/base/spread.h"

namespace gpremap {
namespace {

using namespace std::chrono_literals;

double operations_in_a_round(WorkloadArea& area, const Workload& workload, std::vector<std::byte>& memory) {
    area.prepare(workload, native_tsc_khz());
    const uint64_t at = (reinterpret_cast<uint64_t>(memory.data()) + 4095) / 4096 * 4096;
    area.put_place(at, memory.size() - 4096);
    std::jthread vcpu([] { run_natively(); });
    std::this_thread::sleep_for(50ms);
    area.stop();
    vcpu.join();
    const gpremap_workload state = area.state();
    return static_cast<double>(state.operations) / static_cast<double>(state.ended - state.begun);
}

void print_ratios(unsigned rounds) {
    NativeAreas areas;
    WorkloadArea area(areas, 0);
    std::vector<std::byte> memory(2'101'248, std::byte{1});
    fmt::print("{:<8} {:>8} {:>8}   throughput with samples over that without, median of {}\n", "workload",
               "each", "ratio", rounds);
    for (auto does : {GPREMAP_STREAM, GPREMAP_CHASE, GPREMAP_TOUCH, GPREMAP_VERIFY, GPREMAP_JITTER}) {
        for (uint64_t each_us : {1000u, 100u}) {
            std::vector<double> ratios;
            Workload with, without;
            with.does = without.does = does;
            with.sample_ns = each_us * 1000;
            without.sample_ns = 0;
            for (unsigned i = 0; i < rounds; i++) {
                const double sampled = operations_in_a_round(area, with, memory);
                ratios.push_back(sampled / operations_in_a_round(area, without, memory));
            }
            fmt::print("{:<8} {:>5} us {:>8.4f}\n", name_of(does), each_us, spread_of(ratios).median);
        }
    }
}

}  // namespace
}  // namespace gpremap

int main(int argc, char** argv) {
    gpremap::print_ratios(argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 41);
}
