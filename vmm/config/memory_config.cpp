#include "vmm/config/memory_config.h"

#include <algorithm>
#include <iterator>

namespace gpremap {

std::string_view name_of(Backing backing) {
    return std::ranges::find(backing_names, backing, &std::pair<std::string_view, Backing>::second)->first;
}

std::string_view name_of(Mechanism mechanism) {
    return std::ranges::find(mechanism_names, mechanism, &std::pair<std::string_view, Mechanism>::second)
        ->first;
}

}  // namespace gpremap
