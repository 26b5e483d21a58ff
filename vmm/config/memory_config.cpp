#include "vmm/config/memory_config.h"

#include <algorithm>
#include <iterator>

namespace gpremap {

const BackingTraits& traits_of(Backing backing) {
    return *std::ranges::find(backing_traits, backing, &BackingTraits::backing);
}

std::optional<Backing> backing_of_huge_pages(uint64_t size) {
    for (const BackingTraits& traits : backing_traits)
        if (size != 0 && traits.huge_page == size) return traits.backing;
    return std::nullopt;
}

std::string_view name_of(Backing backing) {
    return traits_of(backing).name;
}

std::string_view name_of(Mechanism mechanism) {
    return std::ranges::find(mechanism_names, mechanism, &std::pair<std::string_view, Mechanism>::second)
        ->first;
}

std::string_view name_of(Pause pause) {
    return std::ranges::find(pause_names, pause, &std::pair<std::string_view, Pause>::second)->first;
}

std::string_view name_of(SnapshotCopies copies) {
    return std::ranges::find(snapshot_copies_names, copies,
                             &std::pair<std::string_view, SnapshotCopies>::second)
        ->first;
}

std::string_view name_of_granule(uint64_t granule) {
    return std::ranges::find(granule_names, granule, &std::pair<std::string_view, uint64_t>::second)->first;
}

}  // namespace gpremap
