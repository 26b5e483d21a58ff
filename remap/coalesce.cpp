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

// ---- one step for both, where `high` is about what lies right behind `low`; in either order ----

template <class T>
std::optional<Step> joined_mapping(const T& low, const T& high) {
    auto range = together(low.range, high.range);
    if (!range || low.prot != high.prot || !goes_on(low.memory, low.range.size(), high.memory))
        return std::nullopt;
    return T{*range, low.memory, low.prot};
}

std::optional<Step> joined(const step::Map& low, const step::Map& high) {
    return joined_mapping(low, high);
}

std::optional<Step> joined(const step::View& low, const step::View& high) {
    return joined_mapping(low, high);
}

std::optional<Step> joined(const step::Unmap& low, const step::Unmap& high) {
    auto range = together(low.range, high.range);
    if (!range) return std::nullopt;
    return step::Unmap{*range, joined(low.anonymous, high.anonymous)};
}

// Where one lands on the other's source, the second may be about what the first has brought there.
std::optional<Step> joined(const step::Move& low, const step::Move& high) {
    auto from = together(low.from, high.from);
    if (!from || low.to.advanced(low.from.size()) != high.to) return std::nullopt;
    if (from->overlaps(Range::of(low.to, from->size()))) return std::nullopt;
    return step::Move{*from, low.to};
}

std::optional<Step> joined(const step::Protect& low, const step::Protect& high) {
    auto range = together(low.range, high.range);
    if (!range || low.prot != high.prot || low.was != high.was) return std::nullopt;
    return step::Protect{*range, low.prot, low.was};
}

std::optional<Step> joined(const step::Populate& low, const step::Populate& high) {
    auto range = together(low.range, high.range);
    if (!range || low.prot != high.prot) return std::nullopt;
    return step::Populate{*range, low.prot};
}

std::optional<Step> joined(const step::Discard& low, const step::Discard& high) {
    auto range = together(low.range, high.range);
    if (!range || low.prot != high.prot) return std::nullopt;
    return step::Discard{*range, low.prot};
}

std::optional<Step> joined(const step::Free& low, const step::Free& high) {
    auto pages = together(low.pages, high.pages);
    if (!pages) return std::nullopt;
    return step::Free{*pages};
}

// The others never follow one another but with a step of another kind in between.
template <class T>
std::optional<Step> joined(const T&, const T&) {
    return std::nullopt;
}

std::optional<Step> joined_in_either_order(const Step& first, const Step& second) {
    return std::visit(
        [&](const auto& one) -> std::optional<Step> {
            const auto* other = std::get_if<std::decay_t<decltype(one)>>(&second);
            if (!other) return std::nullopt;
            auto upwards = joined(one, *other);
            return upwards ? upwards : joined(*other, one);
        },
        first);
}

void add(std::vector<Step>& steps, const Step& next) {
    auto both = steps.empty() ? std::nullopt : joined_in_either_order(steps.back(), next);
    if (both)
        steps.back() = *both;
    else
        steps.push_back(next);
}

bool reads_memory(const Step& step) {
    return std::holds_alternative<step::Copy>(step) || std::holds_alternative<step::Populate>(step) ||
           std::holds_alternative<step::Promote>(step);
}

}  // namespace

// Offsets of the object are never used twice: no later step puts anything into pages that have been freed.
std::vector<Step> coalesced(const std::vector<Step>& steps) {
    std::vector<Step> fewer, waiting;
    auto free_now = [&] {
        for (const Step& free : waiting) add(fewer, free);
        waiting.clear();
    };
    for (const Step& step : steps) {
        if (std::holds_alternative<step::Free>(step)) {
            add(waiting, step);
            continue;
        }
        if (reads_memory(step)) free_now();
        add(fewer, step);
    }
    free_now();
    return fewer;
}

}  // namespace remap
