#include "guest/agent/workloads/kinds.h"

namespace gpremap {

bool run_kind(gpremap_area& area, abi::Report& report) {
    switch (area.workload.kind) {
        case GPREMAP_STREAM:
            stream(area);
            return true;
        case GPREMAP_CHASE:
            chase(area);
            return true;
        case GPREMAP_TOUCH:
            touch(area);
            return true;
        case GPREMAP_VERIFY:
            verify(area, report);
            return true;
        case GPREMAP_JITTER:
            jitter(area);
            return true;
        default:
            return false;
    }
}

}  // namespace gpremap
