#include "tests/vmm/memory/counted_ioctls.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>
#include <map>
#include <mutex>

namespace gpremap {
namespace {

std::mutex mutex;
std::map<unsigned long, uint64_t> counts;

void count(unsigned long request) {
    std::lock_guard lock(mutex);
    counts[request]++;
}

}  // namespace

uint64_t ioctls_made(unsigned long request) {
    std::lock_guard lock(mutex);
    return counts[request];
}

}  // namespace gpremap

// In place of the C library's.
extern "C" int ioctl(int fd, unsigned long request, ...) noexcept {
    va_list arguments;
    va_start(arguments, request);
    void* argument = va_arg(arguments, void*);
    va_end(arguments);
    gpremap::count(request);
    return static_cast<int>(syscall(SYS_ioctl, fd, request, argument));
}
