// A function for each kind of workload. Each returns once it is to stop, or has found something wrong.
#pragma once

#include "guest/abi/agent.h"
#include "guest/abi/workload.h"

namespace gpremap {

// The one that the area states, but for a program. False where there is no such kind.
bool run_kind(gpremap_area& area, abi::Report& report);

void stream(gpremap_area& area);
void chase(gpremap_area& area);
void touch(gpremap_area& area);
void verify(gpremap_area& area, abi::Report& report);
void jitter(gpremap_area& area);

// ---- stream's kernels, on `count` doubles each, a multiple of 8; memory is aligned to 16 ----

void stream_copy(double* c, const double* a, uint64_t count);
void stream_scale(double* b, const double* c, uint64_t count);
void stream_add(double* c, const double* a, const double* b, uint64_t count);
void stream_triad(double* a, const double* b, const double* c, uint64_t count);

}  // namespace gpremap
