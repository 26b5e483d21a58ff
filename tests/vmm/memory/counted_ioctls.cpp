#include "tests/vmm/memory/counted_ioctls.h"

#include <linux/kvm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>

namespace gpremap {
namespace {

std::mutex mutex;
std::map<unsigned long, uint64_t> counts;

thread_local bool counts_allocations = false;
std::atomic<uint64_t> allocations = 0;

// What this allocates is not the program's.
void count(unsigned long request) {
    counts_allocations = false;
    std::lock_guard lock(mutex);
    counts[request]++;
}

}  // namespace

uint64_t ioctls_made(unsigned long request) {
    std::lock_guard lock(mutex);
    return counts[request];
}

uint64_t allocations_of_vcpus() {
    return allocations;
}

}  // namespace gpremap

// In place of the C library's.
extern "C" int ioctl(int fd, unsigned long request, ...) noexcept {
    va_list arguments;
    va_start(arguments, request);
    void* argument = va_arg(arguments, void*);
    va_end(arguments);
    const bool runs_vcpu = gpremap::counts_allocations || request == KVM_RUN;
    gpremap::count(request);
    gpremap::counts_allocations = runs_vcpu;
    return static_cast<int>(syscall(SYS_ioctl, fd, request, argument));
}
void* operator new(std::size_t size) {
    if (gpremap::counts_allocations) gpremap::allocations++;
    if (void* got = std::malloc(size)) return got;
    throw std::bad_alloc();
}
// Inlined, it would be a free() of what is new.
[[gnu::noinline]] void operator delete(void* what) noexcept {
    std::free(what);
}
[[gnu::noinline]] void operator delete(void* what, std::size_t) noexcept {
    std::free(what);
}
