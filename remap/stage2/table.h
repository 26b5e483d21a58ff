// A second-stage page table of any format: one radix tree, whose entries are in the format's own bits.
//
// It is what the table that KVM keeps will look like once every page has been touched. Leaves map to host
// *virtual* addresses, where KVM's have the physical ones that the kernel keeps to itself.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <deque>
#include <optional>
#include <span>

#include "remap/stage2/entry_format.h"
#include "remap/stage2/prediction.h"

namespace remap::stage2 {

template <EntryFormat F>
class Table {
  public:
    using G = Geometry<F>;
    static_assert(F::highest_leaf < page_levels);

    Table() : nodes_(1) {}

    // As many pages as possible of each piece, as large as possible. Pieces must not overlap, must lie
    // below 2^address_bits, and consist of whole pages of the smallest size.
    explicit Table(std::span<const Piece> pieces) : Table() {
        for (const Piece& piece : pieces)
            for (const Stretch& stretch : stretches_of(piece, pages)) map(stretch, piece);
    }

    // Of `piece`, where nothing is mapped yet.
    void map(const Stretch& stretch, const Piece& piece) {
        uint64_t done = 0;
        while (done < stretch.pages) {
            Gpa at = stretch.at.advanced(offset(done, stretch.level));
            Node& node = descend(at, stretch.level);
            unsigned first = G::index(at, stretch.level);
            uint64_t count = std::min<uint64_t>(G::entries - first, stretch.pages - done);
            for (uint64_t i = 0; i < count; ++i) {
                assert(node[first + i] == 0);
                const uint64_t host = stretch.host + offset(done + i, stretch.level).bytes;
                node[first + i] = F::leaf(host, stretch.level, piece.prot) | hint(stretch, piece, done + i);
            }
            done += count;
        }
        leaves_.of[stretch.level] += stretch.pages;
    }

    struct Translation {
        uint64_t address = 0;  // of this very byte
        unsigned level = 0;    // of the leaf
        Prot prot;
        uint64_t entry = 0;  // the leaf's bits
        friend bool operator==(const Translation&, const Translation&) = default;
    };

    // As the processor walks; nothing where that is a fault.
    std::optional<Translation> walk(Gpa at) const {
        if (at.value >> G::address_bits) return std::nullopt;
        uint64_t node = 0;
        for (unsigned level = F::levels; level-- > 0;) {
            uint64_t raw = nodes_[node][G::index(at, level)];
            Entry entry = F::decode(raw, level);
            if (auto* leaf = std::get_if<Leaf>(&entry))
                return Translation{leaf->address + at.value % G::page(level).bytes, level, leaf->prot, raw};
            auto* table = std::get_if<TableAt>(&entry);
            if (!table) return std::nullopt;
            node = table->address >> F::page_shift;
        }
        return std::nullopt;
    }

    const Leaves& leaves() const { return leaves_; }
    // Those that say that they are one stretch with their neighbours.
    uint64_t contiguous_leaves() const { return contiguous_leaves_; }
    // Pages that the tables themselves take.
    uint64_t tables() const { return nodes_.size(); }

  private:
    static constexpr auto pages = G::pages();
    using Node = std::array<uint64_t, G::entries>;

    // Of page number `index`: F::contiguous, where all that it says it of is in the stretch.
    uint64_t hint(const Stretch& stretch, const Piece& piece, uint64_t index) {
        const uint64_t neighbours = F::neighbours(stretch.level);
        const Size block{neighbours * stretch.page.bytes};
        if (neighbours == 1 || !piece.is_contiguous(block)) return 0;
        const uint64_t at = stretch.at.advanced(offset(index, stretch.level)).value;
        const auto whole = Range::make(Gpa{at / block.bytes * block.bytes}, block);
        if (!whole || !stretch.range().contains(*whole)) return 0;
        contiguous_leaves_++;
        return F::contiguous;
    }

    static constexpr Size offset(uint64_t count, unsigned level) { return {count * G::page(level).bytes}; }

    // The table of that level for the address, made where it is missing.
    Node& descend(Gpa at, unsigned to) {
        assert(at.value >> G::address_bits == 0);
        uint64_t node = 0;
        for (unsigned level = F::levels - 1; level > to; --level) {
            uint64_t& raw = nodes_[node][G::index(at, level)];
            if (raw == 0) {
                raw = F::table(uint64_t{nodes_.size()} << F::page_shift);
                nodes_.emplace_back();
            }
            node = std::get<TableAt>(F::decode(raw, level)).address >> F::page_shift;
        }
        return nodes_[node];
    }

    std::deque<Node> nodes_;  // the root first; a table's address is its number, in pages
    Leaves leaves_;
    uint64_t contiguous_leaves_ = 0;
};

}  // namespace remap::stage2
