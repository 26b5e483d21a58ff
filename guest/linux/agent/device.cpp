#include "guest/linux/agent/device.h"

#include <fcntl.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "guest/runtime/call.h"

namespace gpremap {

void give_up(const char* what) {
    std::fprintf(stderr, "gpremap: %s: %s\n", what, std::strerror(errno));
    power_off(1);
}

// `out` writes four ports. Where the VMM does not answer, it is none.
void power_off(int status) {
    if (ioperm(GPREMAP_HYPERCALL_PORT, 4, 1) == 0)
        hypercall(abi::Call::power_off, static_cast<uint64_t>(status));
    std::fprintf(stderr, "gpremap: there is no VMM that ends this guest\n");
    std::_Exit(status);
}

// The lowest 64 KiB are no process's (vm.mmap_min_addr), and hold nothing of the image.
Device::Device() : fd_(open(GPREMAP_DEVICE, O_RDWR | O_CLOEXEC)) {
    constexpr uint64_t lowest = 0x10000;
    if (fd_ < 0) give_up("opening " GPREMAP_DEVICE);
    if (ioctl(fd_, GPREMAP_IOC_WORLD, &world_)) give_up("asking for the world");
    const uint64_t from = std::max(world_.agent_base, lowest);
    map(from, world_.agent_base + world_.agent_size - from, PROT_READ | PROT_WRITE | PROT_EXEC,
        "the agent's memory");
    map(world_.aperture_base, world_.aperture_size, PROT_READ | PROT_WRITE, "the aperture");
}

void Device::map(uint64_t at, uint64_t size, int protection, const char* what) const {
    void* place = reinterpret_cast<void*>(at);
    if (mmap(place, size, protection, MAP_SHARED | MAP_FIXED_NOREPLACE, fd_, static_cast<off_t>(at)) != place)
        give_up(what);
}

int64_t Device::call(unsigned vcpu, const gpremap_batch_call& call) const {
    if (call.number >= static_cast<uint64_t>(abi::Call::map)) {
        gpremap_batch_call made = call;
        return ioctl(fd_, GPREMAP_IOC_CALL, &made) ? -errno : made.result;
    }
    gpremap_agent_call made = {vcpu, call};
    return ioctl(fd_, GPREMAP_IOC_AGENT, &made) ? -errno : made.call.result;
}

int64_t Device::plug(uint64_t size) const {
    gpremap_plug request = {size, 0};
    return ioctl(fd_, GPREMAP_IOC_PLUG, &request) ? -errno : static_cast<int64_t>(request.at);
}

int64_t Device::unplug(uint64_t at, uint64_t size, uint64_t milliseconds) const {
    gpremap_unplug request = {at, size, milliseconds, 0};
    return ioctl(fd_, GPREMAP_IOC_UNPLUG, &request) ? -errno : static_cast<int64_t>(request.unplugged);
}

// A query is about whole granules; so one that is refused is asked for more.
abi::ExtentInfo Device::extent_at(uint64_t at) const {
    constexpr uint64_t sizes[] = {2ull << 20, 1ull << 30};
    abi::ExtentInfo extents[512];
    for (uint64_t size : sizes) {
        const int64_t count =
            gpremap_device_call(fd_, static_cast<uint64_t>(abi::Call::query), at & ~(size - 1), size,
                                reinterpret_cast<uint64_t>(extents), std::size(extents), 0, 0);
        if (gpremap_is_error(count)) continue;
        auto* end = extents + std::min<int64_t>(count, std::size(extents));
        auto* found =
            std::find_if(extents, end, [at](const auto& extent) { return at - extent.at < extent.size; });
        return found == end ? abi::ExtentInfo{} : *found;
    }
    return {};
}

void Device::set_executable(uint64_t at, uint64_t size, bool executable) const {
    const int protection = PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0);
    if (mprotect(reinterpret_cast<void*>(at), size, protection)) give_up("changing what may be executed");
}

}  // namespace gpremap
