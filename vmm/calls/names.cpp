#include "vmm/calls/names.h"

#include <algorithm>

namespace gpremap {

namespace {

// Never adds an offset to an end, so ranges at the top of the address space are right, too.
bool is_inside(const NamedRange& range, uint64_t at, uint64_t size) {
    if (range.state == NamedRange::State::unmapped || range.at < at) return false;
    uint64_t offset = range.at - at;
    return offset <= size && range.size <= size - offset;
}

void follow(NamedRange& range, uint64_t from, uint64_t size, uint64_t to, uint64_t new_size) {
    uint64_t offset = range.at - from;
    bool whole = offset == 0 && range.size == size;
    if (!whole && offset >= new_size) {
        range.state = NamedRange::State::unmapped;
        return;
    }
    range.at = to + offset;
    range.size = whole ? new_size : std::min(range.size, new_size - offset);
}

}  // namespace

const NamedRange* Names::find(const std::string& name) const {
    auto found = ranges_.find(name);
    return found == ranges_.end() ? nullptr : &found->second;
}

uint64_t Names::mapped_from(uint64_t at, uint64_t most) const {
    uint64_t mapped = 0;
    while (mapped < most) {
        const auto next = std::ranges::find_if(ranges_, [&](const auto& named) {
            const NamedRange& range = named.second;
            return range.state == NamedRange::State::mapped && at + mapped - range.at < range.size;
        });
        if (next == ranges_.end()) return mapped;
        const NamedRange& range = next->second;
        mapped += std::min(most - mapped, range.size - (at + mapped - range.at));
    }
    return mapped;
}

bool Names::has_mapped(uint64_t at, uint64_t size) const {
    return std::ranges::any_of(ranges_, [&](const auto& named) {
        const NamedRange& range = named.second;
        if (range.state == NamedRange::State::unmapped || size == 0 || range.size == 0) return false;
        return at - range.at < range.size || range.at - at < size;
    });
}

void Names::relocate(uint64_t from, uint64_t size, uint64_t to, uint64_t new_size) {
    for (auto& [name, range] : ranges_) {
        if (is_inside(range, from, size)) {
            follow(range, from, size, to, new_size);
        } else if (is_inside(range, to, new_size)) {
            range.state = NamedRange::State::unmapped;
        }
    }
}

void Names::unmap(uint64_t at, uint64_t size) {
    for (auto& [name, range] : ranges_)
        if (is_inside(range, at, size)) range.state = NamedRange::State::unmapped;
}

void Names::exchange(uint64_t a, uint64_t b, uint64_t size) {
    for (auto& [name, range] : ranges_) {
        if (is_inside(range, a, size)) {
            range.at = b + (range.at - a);
        } else if (is_inside(range, b, size)) {
            range.at = a + (range.at - b);
        }
    }
}

}  // namespace gpremap
