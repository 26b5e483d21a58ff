// A non-empty run of addresses. The only place that computes ends.
#pragma once

#include <algorithm>
#include <optional>

#include "remap/address.h"

namespace remap {

template <class A>
class BasicRange {
  public:
    // Nothing where size is 0 or start + size does not fit in 64 bits.
    static constexpr std::optional<BasicRange> make(A start, Size size) {
        if (size.bytes == 0 || !start.checked_add(size)) return std::nullopt;
        return BasicRange(start, size);
    }

    // Where the caller knows that it is one.
    static constexpr BasicRange of(A start, Size size) {
        auto range = make(start, size);
        assert(range);
        return *range;
    }
    static constexpr BasicRange between(A start, A end) { return of(start, end.above(start)); }

    constexpr A start() const { return start_; }
    constexpr A end() const { return start_.advanced(size_); }  // the first address behind it
    constexpr Size size() const { return size_; }

    constexpr bool contains(A at) const { return at >= start_ && at.above(start_) < size_; }
    constexpr bool contains(const BasicRange& inner) const {
        return inner.start_ >= start_ && inner.size_ <= size_ &&
               inner.start_.above(start_).bytes <= size_.bytes - inner.size_.bytes;
    }
    constexpr bool overlaps(const BasicRange& other) const {
        return start_ < other.end() && other.start_ < end();
    }
    constexpr std::optional<BasicRange> intersection(const BasicRange& other) const {
        if (!overlaps(other)) return std::nullopt;
        return between(std::max(start_, other.start_), std::min(end(), other.end()));
    }

    // The first `size` bytes, and what lies behind them; `size` is at most size().
    constexpr BasicRange head(Size size) const {
        assert(size <= size_);
        return of(start_, size);
    }
    constexpr std::optional<BasicRange> tail(Size behind) const {
        assert(behind <= size_);
        return make(start_.advanced(behind), Size{size_.bytes - behind.bytes});
    }

    friend constexpr bool operator==(const BasicRange&, const BasicRange&) = default;

  private:
    constexpr BasicRange(A start, Size size) : start_(start), size_(size) {}

    A start_;
    Size size_;
};

using Range = BasicRange<Gpa>;
using ObjectRange = BasicRange<Offset>;

}  // namespace remap
