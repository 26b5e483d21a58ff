#include "remap/coalesce.h"

#include <optional>

namespace remap {
namespace {

template <class A>
std::optional<BasicRange<A>> together(const BasicRange<A>& low, const BasicRange<A>& high) {
    if (low.end() != high.start()) return std::nullopt;
    return BasicRange<A>::between(low.start(), high.end());
}

// Both lists are in order, and all of `low` lies below all of `high`.
std::vector<Range> joined(std::vector<Range> low, const std::vector<Range>& high) {
    for (const Range& range : high) {
        auto both = low.empty() ? std::nullopt : together(low.back(), range);
        if (both)
            low.back() = *both;
        else
            low.push_back(range);
    }
    return low;
}

bool goes_on(const Memory& low, Size size, const Memory& high) {
    return low.advanced(size) == high;
}

// ---- one change for both, where `high` is about what lies right behind `low`; in either order ----

template <class T>
std::optional<Change> joined_mapping(const T& low, const T& high) {
    auto range = together(low.range, high.range);
    if (!range || low.prot != high.prot || !goes_on(low.memory, low.range.size(), high.memory))
        return std::nullopt;
    return T{*range, low.memory, low.prot};
}

std::optional<Change> joined(const change::Map& low, const change::Map& high) {
    return joined_mapping(low, high);
}

std::optional<Change> joined(const change::View& low, const change::View& high) {
    return joined_mapping(low, high);
}

std::optional<Change> joined(const change::Unmap& low, const change::Unmap& high) {
    auto range = together(low.range, high.range);
    if (!range) return std::nullopt;
    return change::Unmap{*range, joined(low.anonymous, high.anonymous)};
}

// Where one lands on the other's source, the second may be about what the first has brought there.
std::optional<Change> joined(const change::Move& low, const change::Move& high) {
    auto from = together(low.from, high.from);
    if (!from || low.to.advanced(low.from.size()) != high.to) return std::nullopt;
    if (from->overlaps(Range::of(low.to, from->size()))) return std::nullopt;
    return change::Move{*from, low.to};
}

std::optional<Change> joined(const change::Protect& low, const change::Protect& high) {
    auto range = together(low.range, high.range);
    if (!range || low.prot != high.prot || low.was != high.was) return std::nullopt;
    return change::Protect{*range, low.prot, low.was};
}

std::optional<Change> joined(const change::Populate& low, const change::Populate& high) {
    auto range = together(low.range, high.range);
    if (!range || low.prot != high.prot) return std::nullopt;
    return change::Populate{*range, low.prot};
}

std::optional<Change> joined(const change::Discard& low, const change::Discard& high) {
    auto range = together(low.range, high.range);
    if (!range || low.prot != high.prot) return std::nullopt;
    return change::Discard{*range, low.prot};
}

std::optional<Change> joined(const change::Free& low, const change::Free& high) {
    auto pages = together(low.pages, high.pages);
    if (!pages || low.are != high.are) return std::nullopt;
    return change::Free{*pages, low.are};
}

// The others never follow one another but with a change of another kind in between.
template <class T>
std::optional<Change> joined(const T&, const T&) {
    return std::nullopt;
}

std::optional<Change> joined_in_either_order(const Change& first, const Change& second) {
    return std::visit(
        [&](const auto& one) -> std::optional<Change> {
            const auto* other = std::get_if<std::decay_t<decltype(one)>>(&second);
            if (!other) return std::nullopt;
            auto upwards = joined(one, *other);
            return upwards ? upwards : joined(*other, one);
        },
        first);
}

void add(std::vector<Change>& changes, const Change& next) {
    auto both = changes.empty() ? std::nullopt : joined_in_either_order(changes.back(), next);
    if (both)
        changes.back() = *both;
    else
        changes.push_back(next);
}

bool reads_memory(const Change& change) {
    return std::holds_alternative<change::Copy>(change) || std::holds_alternative<change::Populate>(change) ||
           std::holds_alternative<change::Promote>(change) ||
           std::holds_alternative<change::Snapshot>(change);
}

}  // namespace

// Offsets of the object are never used twice: no later change puts anything into pages that have been freed.
std::vector<Change> coalesced(const std::vector<Change>& changes) {
    std::vector<Change> fewer, waiting;
    auto free_now = [&] {
        for (const Change& free : waiting) add(fewer, free);
        waiting.clear();
    };
    for (const Change& change : changes) {
        if (std::holds_alternative<change::Free>(change)) {
            add(waiting, change);
            continue;
        }
        if (reads_memory(change)) free_now();
        add(fewer, change);
    }
    free_now();
    return fewer;
}

}  // namespace remap
