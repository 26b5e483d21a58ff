#include "tests/vmm/memory/failing_allocations.h"

#include <cstdlib>
#include <new>

namespace gpremap {

thread_local int64_t allocations_left = -1;

}  // namespace gpremap

void* operator new(std::size_t size) {
    using gpremap::allocations_left;
    if (allocations_left == 0) {
        allocations_left = -1;
        throw std::bad_alloc();
    }
    if (allocations_left > 0) --allocations_left;
    if (void* got = std::malloc(size)) return got;
    throw std::bad_alloc();
}

void operator delete(void* what) noexcept {
    std::free(what);
}
void operator delete(void* what, std::size_t) noexcept {
    std::free(what);
}
