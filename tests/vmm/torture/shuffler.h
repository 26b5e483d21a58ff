// Makes up remapping calls at random, for abi::Op::shuffle, and knows what memory must look like afterwards.
//
// Six ranges of different sizes are moved, grown, shrunk, aliased and write-protected for a moment. Two more
// are exchanged with each other and shifted by less than their size: there an address becomes another
// place at once, so that what a late vCPU counts can only be compared as a sum (abi::Arena::Range::exact).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

#include "guest/abi/agent.h"

namespace gpremap {

class Shuffler {
  public:
    struct Range {
        uint64_t size;   // bytes, of which every place is part
        uint64_t grown;  // bytes now, with the tail that comes and goes
        uint64_t places;
        uint64_t stride;  // bytes
        bool exact;
        bool may_be_aliased;
        std::array<uint64_t, abi::Arena::views> address;  // 0 where it is not mapped
        std::array<uint64_t, abi::Arena::most_places> marker;
        uint64_t tail_marker;
    };

    // Bytes of guest-physical memory in which ranges are moved about.
    static constexpr uint64_t aperture_size = 16ull << 30;

    Shuffler(uint64_t base, uint64_t granule, uint64_t seed);

    const std::array<Range, abi::Arena::ranges>& ranges() const { return ranges_; }
    uint64_t mapped_bytes() const;

    // The next calls, `count` or one more.
    std::vector<abi::Remap> next(std::size_t count);

    // Addresses left before the last but one next() may be used again.
    void reuse_left_addresses();

  private:
    void remap_exact(Range& range);
    void remap_inexact(Range& range);
    void move(Range& range, uint64_t view);
    void grow(Range& range);
    void grow_elsewhere(Range& range);
    void shrink(Range& range);
    void alias(Range& range);
    void unalias(Range& range);
    void protect_for_a_moment(const Range& range);
    void exchange();
    void shift(Range& range);

    struct Seen {
        uint64_t before;
        uint64_t after;
    };
    abi::Remap& add(abi::Call number, std::initializer_list<uint64_t> args, uint64_t result);
    void watch(abi::Remap& remap, Range& range, Seen address);
    void put(abi::Remap& remap, Range& range, uint64_t view, uint64_t address);
    uint64_t take_address(uint64_t size);
    void leave_address(uint64_t address);
    uint64_t below(uint64_t bound) { return random_() % bound; }
    uint64_t index_of(const Range& range) const { return static_cast<uint64_t>(&range - ranges_.data()); }

    const uint64_t base_;
    const uint64_t granule_;
    std::mt19937_64 random_;
    std::array<Range, abi::Arena::ranges> ranges_;
    std::deque<uint64_t> free_;  // plots: each holds one view of one range
    std::vector<uint64_t> left_, left_before_;
    std::vector<abi::Remap> remaps_;
    uint64_t marker_ = 0;
};

}  // namespace gpremap
