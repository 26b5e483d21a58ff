#include "remap/stage2/prediction.h"

#include <algorithm>

namespace remap::stage2 {
namespace {

uint64_t round_down(uint64_t value, Size unit) {
    return value / unit.bytes * unit.bytes;
}

using Sizes = std::span<const Size>;

bool is_congruent(const Piece& piece, Size page) {
    Gpa start = piece.mapped().start();
    return start.is_congruent_to(piece.host, page) && start.is_congruent_to(piece.place, page);
}

// The part of the piece that consists of whole pages of that size, if it can have any.
std::optional<Range> whole_pages(const Piece& piece, Size page) {
    if (!piece.is_contiguous(page)) return std::nullopt;
    Range mapped = piece.mapped();
    uint64_t into = mapped.start().value % page.bytes;
    Size skipped{into == 0 ? 0 : page.bytes - into};
    if (skipped >= mapped.size()) return std::nullopt;
    Size left{mapped.size().bytes - skipped.bytes};
    return Range::make(mapped.start().advanced(skipped), Size{round_down(left.bytes, page)});
}

void append(std::vector<Stretch>& stretches, const Piece& piece, const Range& range, Sizes sizes) {
    Gpa start = piece.mapped().start();
    stretches.push_back({range.start(), piece.host + range.start().above(start).bytes,
                         static_cast<unsigned>(sizes.size() - 1), range.size().bytes / sizes.back().bytes,
                         sizes.back()});
}

// `range` of the piece, with pages of the last of `sizes` and smaller ones at its ends.
void split(std::vector<Stretch>& stretches, const Piece& piece, const Range& range, Sizes sizes) {
    if (sizes.size() == 1) return append(stretches, piece, range, sizes);
    const Sizes smaller = sizes.first(sizes.size() - 1);
    auto large = whole_pages(piece, sizes.back());
    auto inner = large ? large->intersection(range) : std::nullopt;
    if (!inner) return split(stretches, piece, range, smaller);
    if (range.start() < inner->start())
        split(stretches, piece, Range::between(range.start(), inner->start()), smaller);
    append(stretches, piece, *inner, sizes);
    if (inner->end() < range.end())
        split(stretches, piece, Range::between(inner->end(), range.end()), smaller);
}

// Whether `outer` holds the whole page around `at`. The page may end beyond the last address.
bool holds_page_around(const Range& outer, Gpa at, Size page) {
    Gpa start{round_down(at.value, page)};
    return outer.start() <= start && outer.contains(start) &&
           outer.size().bytes - start.above(outer.start()).bytes >= page.bytes;
}

// Pages in the middle of `part` are inside whatever contains it, so its two ends tell.
Obstacles obstacles_to(const Piece& piece, const Range& part, Size page) {
    Obstacles found;
    found.congruence = !is_congruent(piece, page);
    found.backing = piece.largest < page;
    for (Gpa at : {part.start(), Gpa{part.end().value - 1}}) {
        if (!holds_page_around(piece.alike, at, page))
            found.size = true;
        else if (!holds_page_around(piece.slot, at, page))
            found.slot_edge = true;
    }
    return found;
}

// Of the stretch's pages, those that map any of `part`.
uint64_t pages_in(const Stretch& stretch, const Range& part) {
    auto shared = stretch.range().intersection(part);
    if (!shared) return 0;
    uint64_t page = stretch.page.bytes;
    uint64_t first = shared->start().above(stretch.at).bytes / page;
    uint64_t end = (shared->end().above(stretch.at).bytes + page - 1) / page;
    return end - first;
}

void add(Outlook& outlook, const Piece& piece, const Range& part, Sizes sizes) {
    for (const Stretch& stretch : stretches_of(piece, sizes)) {
        uint64_t pages = pages_in(stretch, part);
        outlook.leaves.of[stretch.level] += pages;
        if (pages > 0) outlook.largest = std::max(outlook.largest, stretch.level);
    }
    for (unsigned level = 1; level < sizes.size(); ++level)
        outlook.obstacles[level] |= obstacles_to(piece, part, sizes[level]);
}

}  // namespace

bool Piece::is_contiguous(Size block) const {
    return block <= largest && is_congruent(*this, block);
}

std::vector<Stretch> stretches_of(const Piece& piece, std::span<const Size> sizes) {
    std::vector<Stretch> stretches;
    split(stretches, piece, piece.mapped(), sizes);
    return stretches;
}

Leaves leaves_of(std::span<const Piece> pieces) {
    Leaves leaves;
    for (const Piece& piece : pieces)
        for (const Stretch& stretch : stretches_of(piece)) leaves.of[stretch.level] += stretch.pages;
    return leaves;
}

Obstacles& Obstacles::operator|=(const Obstacles& other) {
    congruence = congruence || other.congruence;
    backing = backing || other.backing;
    slot_edge = slot_edge || other.slot_edge;
    size = size || other.size;
    return *this;
}

Outlook outlook_of(std::span<const Piece> pieces, const Range& range, std::span<const Size> sizes) {
    Outlook outlook;
    auto piece = std::partition_point(pieces.begin(), pieces.end(), [&](const Piece& before) {
        return before.mapped().end() <= range.start();
    });
    for (; piece != pieces.end() && piece->mapped().start() < range.end(); ++piece)
        if (auto part = piece->mapped().intersection(range)) add(outlook, *piece, *part, sizes);
    return outlook;
}

}  // namespace remap::stage2
