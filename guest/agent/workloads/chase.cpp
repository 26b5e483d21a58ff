// Dependent loads: where the next one goes is known only when the one before has come back.
#include "guest/agent/workloads/kinds.h"
#include "guest/agent/workloads/loop.h"

namespace gpremap {
namespace {

constexpr uint64_t line = 64;           // bytes
constexpr uint64_t loads_at_once = 32;  // timed together, for a time stamp takes as long as a load

struct Chase {
    uint64_t least = line;

    void prepare(gpremap_workload& workload) { workload.cursor = next_random(workload); }

    bool operate(gpremap_area& area, gpremap_place place) {
        const uint64_t lines = place.size / line;
        uint64_t state = area.workload.cursor;
        for (uint64_t i = 0; i < loads_at_once; i++) {
            state = state * 6364136223846793005ull + 1442695040888963407ull;
            const auto index = static_cast<uint64_t>(static_cast<unsigned __int128>(state) * lines >> 64);
            // What memory holds does not matter, so nothing is written.
            state += gpremap_load_as_zero(place.at + index * line);
        }
        gpremap_operations_end(&area, loads_at_once, loads_at_once * sizeof(uint64_t));
        return true;
    }
};

}  // namespace

void chase(gpremap_area& area) {
    run_operations(area, Chase{});
}

}  // namespace gpremap
