// The agent's workloads in a process of the host: their code needs nothing of a VM but the places of the areas, which
// lie at fixed addresses.
#pragma once

#include <sys/mman.h>

#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "guest/agent/workloads/kinds.h"
#include "guest/runtime/record.h"
#include "vmm/memory/caller.h"
#include "vmm/workloads/area.h"

namespace gpremap {

// [GPREMAP_CALLS_ADDRESS, end of the areas), zeroed. One at a time.
class NativeAreas : public CallerMemory {
  public:
    static constexpr uint64_t begin = GPREMAP_CALLS_ADDRESS;
    static constexpr uint64_t size = GPREMAP_WORKLOADS + abi::max_vcpus * GPREMAP_AREA_SIZE - begin;

    NativeAreas() {
        void* const at = reinterpret_cast<void*>(begin);
        if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
                 0) != at)
            throw std::runtime_error("something lies where the areas of workloads are to be");
    }
    ~NativeAreas() override { munmap(reinterpret_cast<void*>(begin), size); }
    NativeAreas(const NativeAreas&) = delete;
    NativeAreas& operator=(const NativeAreas&) = delete;

    bool read(uint64_t at, void* to, std::size_t bytes) const override {
        std::memcpy(to, reinterpret_cast<const void*>(at), bytes);
        return true;
    }
    bool write(uint64_t at, const void* from, std::size_t bytes) override {
        std::memcpy(reinterpret_cast<void*>(at), from, bytes);
        return true;
    }
};

// Runs vCPU 0's workload in this thread, until it stops.
inline abi::Report run_natively() {
    abi::Report report = {};
    if (!run_kind(*gpremap_area_of(0), report)) throw std::logic_error("no such kind of workload");
    return report;
}

// This host's TSC.
inline uint32_t native_tsc_khz() {
    using Clock = std::chrono::steady_clock;
    static const uint32_t khz = [] {
        const auto begin = Clock::now();
        const uint64_t tsc = gpremap_timestamp();
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        const uint64_t ticks = gpremap_timestamp() - tsc;
        const std::chrono::duration<double, std::milli> time = Clock::now() - begin;
        return static_cast<uint32_t>(static_cast<double>(ticks) / time.count());
    }();
    return khz;
}

}  // namespace gpremap
