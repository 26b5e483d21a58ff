// The only code of the agent that uses vector registers.
#include "guest/agent/workloads/kinds.h"

namespace gpremap {
namespace {

using Pair = double __attribute__((vector_size(16), may_alias));

// a = b + s * (s * a), with b = s * c, is stable for this one: sqrt(2) - 1. The values neither vanish, nor grow.
constexpr double scalar = 0.41421356237309503;
constexpr Pair scalars = {scalar, scalar};

Pair& pair(double* at) {
    return *reinterpret_cast<Pair*>(at);
}
const Pair& pair(const double* at) {
    return *reinterpret_cast<const Pair*>(at);
}

}  // namespace

void stream_copy(double* c, const double* a, uint64_t count) {
#pragma GCC unroll 4
    for (uint64_t i = 0; i < count; i += 2) pair(c + i) = pair(a + i);
}

void stream_scale(double* b, const double* c, uint64_t count) {
#pragma GCC unroll 4
    for (uint64_t i = 0; i < count; i += 2) pair(b + i) = scalars * pair(c + i);
}

void stream_add(double* c, const double* a, const double* b, uint64_t count) {
#pragma GCC unroll 4
    for (uint64_t i = 0; i < count; i += 2) pair(c + i) = pair(a + i) + pair(b + i);
}

void stream_triad(double* a, const double* b, const double* c, uint64_t count) {
#pragma GCC unroll 4
    for (uint64_t i = 0; i < count; i += 2) pair(a + i) = pair(b + i) + scalars * pair(c + i);
}

}  // namespace gpremap
