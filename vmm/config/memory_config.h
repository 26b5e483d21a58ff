// The memory of a VM as it is configured: plain data, and the names of its values.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

namespace gpremap {

enum class Backing { automatic, anon, memfd, hugetlb_2m, hugetlb_1g };
enum class Mechanism { automatic, window, memslot };
// When the other vCPUs are kept out of guest mode while a call changes memory: where that is shorter than the TLB
// flushes they would suffer, always, or only where the call could not be undone otherwise.
enum class Pause { automatic, always, needed };

// What tells the backings apart: whoever asks for a property asks here.
struct BackingTraits {
    Backing backing;
    std::string_view name;          // as scenarios, the command line and results write it
    bool begins_anonymous;          // whether ranges begin as anonymous memory; else as pages of a file
    uint64_t huge_page = 0;         // bytes: the size of the reserved huge pages that it is made of, if it is
    uint64_t least_granule = 4096;  // bytes
};
inline constexpr BackingTraits backing_traits[] = {
    {Backing::automatic, "auto", true},
    {Backing::anon, "anon", true},
    {Backing::memfd, "memfd", false},
    {Backing::hugetlb_2m, "hugetlb-2M", false, 2ull << 20, 2ull << 20},
    {Backing::hugetlb_1g, "hugetlb-1G", false, 1ull << 30, 1ull << 30},
};

// The names of values, as scenarios, the command line and results write them.
inline constexpr auto backing_names = [] {
    std::array<std::pair<std::string_view, Backing>, std::size(backing_traits)> names;
    for (size_t i = 0; i < names.size(); ++i) names[i] = {backing_traits[i].name, backing_traits[i].backing};
    return names;
}();
inline constexpr std::pair<std::string_view, Mechanism> mechanism_names[] = {
    {"auto", Mechanism::automatic}, {"window", Mechanism::window}, {"memslot", Mechanism::memslot}};
inline constexpr std::pair<std::string_view, Pause> pause_names[] = {
    {"auto", Pause::automatic}, {"always", Pause::always}, {"needed", Pause::needed}};
inline constexpr std::pair<std::string_view, uint64_t> granule_names[] = {
    {"4KiB", 4096}, {"2MiB", 2ull << 20}, {"1GiB", 1ull << 30}};

const BackingTraits& traits_of(Backing backing);
std::string_view name_of(Backing backing);
std::string_view name_of(Mechanism mechanism);
std::string_view name_of(Pause pause);
std::string_view name_of_granule(uint64_t granule);

// When a snapshot copies what was written since the one before: after the call, a piece at a time, or during it, while the
// vCPUs are paused.
enum class SnapshotCopies { later, at_once };
inline constexpr std::pair<std::string_view, SnapshotCopies> snapshot_copies_names[] = {
    {"later", SnapshotCopies::later}, {"at-once", SnapshotCopies::at_once}};
std::string_view name_of(SnapshotCopies copies);

// `absent`, for tests: nothing that the pool was given is ever handed out again.
enum class PoolCleaner { runs, absent };

struct MemoryConfig {
    uint64_t granule = 4096;  // bytes: one of granule_names
    uint64_t aperture_base = 4ull << 30;
    uint64_t aperture_size = 64ull << 30;
    uint64_t limit = 4ull << 30;  // bytes of host memory that mapped pages may take
    uint64_t lock_limit = ~0ull;  // bytes
    uint64_t max_extents = 30000;
    Backing backing = Backing::automatic;
    Mechanism mechanism = Mechanism::automatic;
    Pause pause = Pause::automatic;
    SnapshotCopies snapshots = SnapshotCopies::later;
    uint64_t pool = 0;  // bytes of the warm pool, of what new ranges are made of; in addition to `limit`
    PoolCleaner pool_cleaner = PoolCleaner::runs;
    // Whether KVM maps what a call has moved, or had from the warm pool, before the guest goes on. Without
    // KvmCapabilities::pre_fault it cannot.
    bool pre_fault = false;
};

// Bytes; 0 where it is not made of reserved huge pages.
inline uint64_t huge_page_of(Backing backing) {
    return traits_of(backing).huge_page;
}

// The backing that is made of reserved huge pages of so many bytes, if there is one.
std::optional<Backing> backing_of_huge_pages(uint64_t size);

}  // namespace gpremap
