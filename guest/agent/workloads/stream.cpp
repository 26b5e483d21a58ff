// STREAM: copy, scale, add and triad, each over the whole of three arrays before the next.
//
//     range   [ a            |] [ b            |] [ c            |]      thirds, in whole blocks
//     copy    c = a    scale   b = s c    add   c = a + b    triad   a = b + s c
#include "guest/agent/workloads/kinds.h"
#include "guest/agent/workloads/loop.h"

namespace gpremap {
namespace {

constexpr uint64_t block = 16 << 10;  // bytes of each array that one operation is about
constexpr uint64_t doubles = block / sizeof(double);

double* block_at(uint64_t array, uint64_t index) {
    return reinterpret_cast<double*>(array + index * block);
}

// Bytes that were read and written.
uint64_t do_block(uint64_t kernel, uint64_t a, uint64_t b, uint64_t c, uint64_t index) {
    switch (kernel) {
        case 0:
            stream_copy(block_at(c, index), block_at(a, index), doubles);
            return 2 * block;
        case 1:
            stream_scale(block_at(b, index), block_at(c, index), doubles);
            return 2 * block;
        case 2:
            stream_add(block_at(c, index), block_at(a, index), block_at(b, index), doubles);
            return 3 * block;
        default:
            stream_triad(block_at(a, index), block_at(b, index), block_at(c, index), doubles);
            return 3 * block;
    }
}

// `cursor` is the block that is next, `round` the kernel.
struct Stream {
    uint64_t least = 3 * block;

    void prepare(gpremap_workload&) {}

    bool operate(gpremap_area& area, gpremap_place place) {
        gpremap_workload& workload = area.workload;
        const uint64_t blocks = place.size / 3 / block;
        if (workload.cursor >= blocks) {
            workload.cursor = 0;
            workload.round = (workload.round + 1) % 4;
        }
        settle_state();
        const uint64_t begin = gpremap_timestamp();
        const uint64_t third = blocks * block;
        const uint64_t bytes =
            do_block(workload.round, place.at, place.at + third, place.at + 2 * third, workload.cursor);
        const uint64_t end = gpremap_operation_ends(&area, bytes);
        workload.done[workload.round] += bytes;
        workload.ticks[workload.round] += end - begin;
        workload.cursor++;
        return true;
    }
};

}  // namespace

void stream(gpremap_area& area) {
    run_operations(area, Stream{});
}

}  // namespace gpremap
