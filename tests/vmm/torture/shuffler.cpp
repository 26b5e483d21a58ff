#include "tests/vmm/torture/shuffler.h"

#include <algorithm>
#include <utility>

namespace gpremap {
namespace {

using abi::Arena;
using abi::Call;
using abi::Remap;

constexpr uint64_t plot = 32ull << 20;
constexpr uint64_t small_granule = 4096;
constexpr uint64_t exact_ranges = 6, first_inexact = 6, second_inexact = 7;
constexpr uint64_t rw = GPREMAP_PROT_READ | GPREMAP_PROT_WRITE;
constexpr uint64_t tail_granules = 2;

// In granules. With small ones, two ranges hold whole huge pages.
constexpr std::array<uint64_t, Arena::ranges> small_sizes = {1, 4, 16, 16, 1024, 1024, 8, 8};
constexpr std::array<uint64_t, Arena::ranges> huge_sizes = {1, 1, 2, 2, 3, 3, 4, 4};

// Inexact ranges have a place in every granule, so that one shifted by granules has a place where there was
// one.
Shuffler::Range fresh_range(uint64_t index, uint64_t granules, uint64_t granule) {
    Shuffler::Range range = {};
    range.exact = index < exact_ranges;
    range.may_be_aliased = range.exact && index % 2 == 1;  // the others stay what they are, anonymous say
    range.size = range.grown = granules * granule;
    range.stride = range.exact ? std::max(range.size / 4, small_granule) : granule;
    range.places = range.size / range.stride;
    return range;
}

}  // namespace

Shuffler::Shuffler(uint64_t base, uint64_t granule, uint64_t seed)
    : base_(base), granule_(granule), random_(seed) {
    for (uint64_t at = 0; at < aperture_size; at += plot) free_.push_back(base + at);
    const auto& sizes = granule == small_granule ? small_sizes : huge_sizes;
    for (uint64_t i = 0; i < ranges_.size(); i++) {
        ranges_[i] = fresh_range(i, sizes[i], granule);
        ranges_[i].address[0] = take_address(ranges_[i].size);
    }
}

uint64_t Shuffler::mapped_bytes() const {
    uint64_t bytes = 0;
    for (const Range& range : ranges_) bytes += range.grown + (range.address[1] ? range.size : 0);
    return bytes;
}

std::vector<Remap> Shuffler::next(std::size_t count) {
    remaps_.clear();
    while (remaps_.size() < count) {
        Range& range = ranges_[below(ranges_.size())];
        range.exact ? remap_exact(range) : remap_inexact(range);
    }
    return remaps_;
}

void Shuffler::reuse_left_addresses() {
    free_.insert(free_.end(), left_before_.begin(), left_before_.end());
    left_before_ = std::exchange(left_, {});
}

// ---- which call ----

void Shuffler::remap_exact(Range& range) {
    bool is_grown = range.grown > range.size, is_aliased = range.address[1] != 0;
    switch (below(5)) {
        case 0:
            return move(range, 0);
        case 1:
            if (is_aliased) return move(range, 1);
            return range.may_be_aliased ? alias(range) : move(range, 0);
        case 2:
            return is_aliased ? unalias(range) : move(range, 0);
        case 3:
            if (is_grown) return shrink(range);
            return below(2) ? grow(range) : grow_elsewhere(range);
        default:
            return below(4) ? move(range, 0) : protect_for_a_moment(range);
    }
}

void Shuffler::remap_inexact(Range& range) {
    switch (below(3)) {
        case 0:
            return move(range, 0);
        case 1:
            return exchange();
        default:
            return shift(range);
    }
}

// ---- the calls ----

void Shuffler::move(Range& range, uint64_t view) {
    uint64_t size = view == 0 ? range.grown : range.size;
    uint64_t from = range.address[view], to = take_address(size);
    Remap& remap = add(Call::move, {from, to, size, 0}, to);
    watch(remap, range, {from, to});
    put(remap, range, view, to);
    remap.dead = from;
    leave_address(from);
}

void Shuffler::grow(Range& range) {
    uint64_t at = range.address[0];
    range.grown = range.size + tail_granules * granule_;
    Remap& remap = add(Call::grow, {at, range.size, range.grown, 0}, at);
    watch(remap, range, {at, at});
    remap.fresh = at + range.size;
    range.tail_marker = remap.marker;
}

void Shuffler::grow_elsewhere(Range& range) {
    constexpr uint64_t fixed = GPREMAP_LINUX_MREMAP_MAYMOVE | GPREMAP_LINUX_MREMAP_FIXED;
    uint64_t from = range.address[0];
    range.grown = range.size + tail_granules * granule_;
    uint64_t to = take_address(range.grown);
    Remap& remap = add(Call::linux_mremap, {from, range.size, range.grown, fixed, to}, to);
    watch(remap, range, {from, to});
    put(remap, range, 0, to);
    remap.fresh = to + range.size;
    range.tail_marker = remap.marker;
    remap.dead = from;
    leave_address(from);
}

void Shuffler::shrink(Range& range) {
    uint64_t at = range.address[0];
    Remap& remap = add(Call::shrink, {at, range.grown, range.size}, at);
    watch(remap, range, {at, at});
    remap.dead = at + range.size;
    range.grown = range.size;
}

void Shuffler::alias(Range& range) {
    uint64_t to = take_address(range.size);
    Remap& remap = add(Call::alias, {range.address[0], to, range.size, rw, 0}, to);
    watch(remap, range, {range.address[0], to});
    put(remap, range, 1, to);
}

void Shuffler::unalias(Range& range) {
    uint64_t at = range.address[1];
    Remap& remap = add(Call::unmap, {at, range.size}, 0);
    watch(remap, range, {at, range.address[0]});
    put(remap, range, 1, 0);
    remap.dead = at;
    leave_address(at);
}

void Shuffler::protect_for_a_moment(const Range& range) {
    uint64_t at = range.address[0];
    for (uint64_t prot : {GPREMAP_PROT_READ, rw}) {
        Remap& remap = add(Call::protect, {at, range.size, prot}, 0);
        remap.after = at;
        remap.range = index_of(range);
        remap.marker = range.marker[0];
    }
}

void Shuffler::exchange() {
    Range &first = ranges_[first_inexact], &second = ranges_[second_inexact];
    uint64_t a = first.address[0], b = second.address[0];
    Remap& remap = add(Call::exchange, {a, b, first.size}, 0);
    watch(remap, first, {a, b});
    put(remap, first, 0, b);
    put(remap, second, 0, a);
}

// Within its plot, by less than its size.
void Shuffler::shift(Range& range) {
    uint64_t from = range.address[0], first = base_ + (from - base_) / plot * plot;
    uint64_t by = (1 + below(range.size / granule_ - 1)) * granule_;
    bool down = from - first >= by && below(2);
    uint64_t to = down ? from - by : from + by;
    if (to + range.size > first + plot) return move(range, 0);
    Remap& remap = add(Call::move, {from, to, range.size, 0}, to);
    watch(remap, range, {from, to});
    put(remap, range, 0, to);
    remap.dead = down ? to + range.size : from;
}

// ---- what they are made of ----

Remap& Shuffler::add(Call number, std::initializer_list<uint64_t> args, uint64_t result) {
    Remap remap = {};
    remap.call.number = static_cast<uint64_t>(number);
    std::ranges::copy(args, remap.call.arg);
    remap.call.result = static_cast<int64_t>(result);
    return remaps_.emplace_back(remap);
}

// One place of the range, seen at its address before and after the call.
void Shuffler::watch(Remap& remap, Range& range, Seen address) {
    remap.range = index_of(range);
    remap.place = below(range.places);
    remap.before = address.before + remap.place * range.stride;
    remap.after = address.after + remap.place * range.stride;
    remap.marker = range.marker[remap.place] = ++marker_;
}

void Shuffler::put(Remap& remap, Range& range, uint64_t view, uint64_t address) {
    range.address[view] = address;
    remap.moved[remap.entries++] = {index_of(range), view, address};
}

// Small ranges do not always keep their offset from a huge page's beginning.
uint64_t Shuffler::take_address(uint64_t size) {
    uint64_t at = free_.front();
    free_.pop_front();
    bool small = size < (2ull << 20);
    return at + (small ? below(64) : below(2) * 2) * (small ? granule_ : 1ull << 20);
}

void Shuffler::leave_address(uint64_t address) {
    left_.push_back(base_ + (address - base_) / plot * plot);
}

}  // namespace gpremap
