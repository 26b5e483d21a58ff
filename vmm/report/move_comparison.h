// The moves of a run beside the guest's own copies of as many bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/base/spread.h"
#include "vmm/scenario/result.h"

namespace gpremap {

// Of one size that was both moved and copied. All times are the guest's, in ns.
struct MoveComparison {
    struct Copy {
        const StepResult* step;
        double factor;  // its time over the median move: above 1, the move was faster
    };

    uint64_t bytes = 0;
    // The first move to a place may have to open a memslot there, and a move by less than 2 MiB splits huge
    // pages: all of them count.
    size_t moves = 0;
    Spread<uint64_t> move_ns;
    std::vector<Copy> copies;
};

// In the order in which the sizes were first copied. Steps that failed do not count. It points into `steps`.
std::vector<MoveComparison> compare_moves(const std::vector<StepResult>& steps);

void print(std::ostream& out, const MoveComparison& comparison);
JsonObject json_of(const MoveComparison& comparison);

}  // namespace gpremap
