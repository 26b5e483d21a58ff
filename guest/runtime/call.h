/* How a guest calls the VMM. Valid C11, and C++20. */
#ifndef GPREMAP_GUEST_RUNTIME_CALL_H
#define GPREMAP_GUEST_RUNTIME_CALL_H

#include "guest/abi/hypercall.h"
#include "guest/runtime/architecture.h"

/* -1 to -4095 are errors. */
static inline int gpremap_is_error(int64_t result) {
    return result < 0 && result >= -4095;
}

#ifdef __cplusplus
namespace gpremap {

inline constexpr int64_t error_einval = -22;  // for a step that means nothing, too

inline int64_t hypercall(abi::Call number, uint64_t a0 = 0, uint64_t a1 = 0, uint64_t a2 = 0, uint64_t a3 = 0,
                         uint64_t a4 = 0, uint64_t a5 = 0) {
    return gpremap_hypercall(static_cast<uint64_t>(number), a0, a1, a2, a3, a4, a5);
}

}  // namespace gpremap
#endif

#endif
