// The memory of a VM as it is configured: plain data, and the names of its values.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

namespace gpremap {

enum class Backing { automatic, anon, memfd, hugetlb_2m };
enum class Mechanism { automatic, window, memslot };

// As scenarios, the command line and results write them.
inline constexpr std::pair<std::string_view, Backing> backing_names[] = {{"auto", Backing::automatic},
                                                                         {"anon", Backing::anon},
                                                                         {"memfd", Backing::memfd},
                                                                         {"hugetlb-2M", Backing::hugetlb_2m}};
inline constexpr std::pair<std::string_view, Mechanism> mechanism_names[] = {
    {"auto", Mechanism::automatic}, {"window", Mechanism::window}, {"memslot", Mechanism::memslot}};
inline constexpr std::pair<std::string_view, uint64_t> granule_names[] = {{"4KiB", 4096},
                                                                          {"2MiB", 2ull << 20}};

std::string_view name_of(Backing backing);
std::string_view name_of(Mechanism mechanism);

// `absent`, for tests: nothing that the pool was given is ever handed out again.
enum class PoolCleaner { runs, absent };

struct MemoryConfig {
    uint64_t granule = 4096;  // bytes: 4 KiB or 2 MiB
    uint64_t aperture_base = 4ull << 30;
    uint64_t aperture_size = 64ull << 30;
    uint64_t limit = 4ull << 30;  // bytes of host memory that mapped pages may take
    uint64_t lock_limit = ~0ull;  // bytes
    uint64_t max_extents = 30000;
    Backing backing = Backing::automatic;
    Mechanism mechanism = Mechanism::automatic;
    uint64_t pool = 0;  // bytes of the warm pool, of anonymous memory; in addition to `limit`
    PoolCleaner pool_cleaner = PoolCleaner::runs;
    // Whether KVM maps what a call has moved, or had from the warm pool, before the guest goes on. Without
    // KvmCapabilities::pre_fault it cannot.
    bool pre_fault = false;
};

// The warm pool is of anonymous memory: whether ranges of this backing begin as that.
constexpr bool can_use_pool(Backing backing) {
    return backing == Backing::automatic || backing == Backing::anon;
}

}  // namespace gpremap
