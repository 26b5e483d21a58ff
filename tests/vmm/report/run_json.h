// The text of a result, read again.
#pragma once

#include "vmm/report/json.h"

namespace gpremap {

inline JsonObject json_of(const RunResult& run) {
    return JsonObject::parse(text_of(run, Ended::by_itself));
}

}  // namespace gpremap
