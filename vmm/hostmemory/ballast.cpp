#include "vmm/hostmemory/ballast.h"

#include <sys/mman.h>

#include <cstddef>

namespace gpremap {
namespace {

constexpr size_t page_size = 4096;
constexpr size_t mappings = 64;
constexpr size_t size = mappings * page_size;

}  // namespace

bool Ballast::drop() {
    if (!at_) return false;
    munmap(at_, size);
    at_ = nullptr;
    return true;
}

// Neighbours of different rights are never one mapping.
void Ballast::restore() {
    if (at_) return;
    void* at = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return;
    at_ = at;
    for (size_t i = 1; i < mappings; i += 2)
        if (mprotect(static_cast<std::byte*>(at) + i * page_size, page_size, PROT_READ) != 0) return;
}

}  // namespace gpremap
