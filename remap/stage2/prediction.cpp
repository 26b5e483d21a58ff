#include "remap/stage2/prediction.h"

#include <algorithm>

namespace remap::stage2 {
namespace {

uint64_t round_down(uint64_t value, Size unit) {
    return value / unit.bytes * unit.bytes;
}

bool is_congruent(const Piece& piece, Size page) {
    Gpa start = piece.mapped().start();
    return start.is_congruent_to(piece.host, page) && start.is_congruent_to(piece.place, page);
}

// The part of the piece that consists of whole pages of that size, if it can have any.
std::optional<Range> whole_pages(const Piece& piece, unsigned level) {
    Size page = page_size(level);
    if (page > piece.largest || !is_congruent(piece, page)) return std::nullopt;
    Range mapped = piece.mapped();
    uint64_t into = mapped.start().value % page.bytes;
    Size skipped{into == 0 ? 0 : page.bytes - into};
    if (skipped >= mapped.size()) return std::nullopt;
    Size left{mapped.size().bytes - skipped.bytes};
    return Range::make(mapped.start().advanced(skipped), Size{round_down(left.bytes, page)});
}

void append(std::vector<Stretch>& stretches, const Piece& piece, const Range& range, unsigned level) {
    Gpa start = piece.mapped().start();
    stretches.push_back({range.start(), piece.host + range.start().above(start).bytes, level,
                         range.size().bytes / page_size(level).bytes});
}

// `range` of the piece, with pages of `level` and smaller ones at its ends.
void split(std::vector<Stretch>& stretches, const Piece& piece, const Range& range, unsigned level) {
    if (level == 0) return append(stretches, piece, range, 0);
    auto large = whole_pages(piece, level);
    auto inner = large ? large->intersection(range) : std::nullopt;
    if (!inner) return split(stretches, piece, range, level - 1);
    if (range.start() < inner->start())
        split(stretches, piece, Range::between(range.start(), inner->start()), level - 1);
    append(stretches, piece, *inner, level);
    if (inner->end() < range.end())
        split(stretches, piece, Range::between(inner->end(), range.end()), level - 1);
}

// Whether `outer` holds the whole page around `at`. The page may end beyond the last address.
bool holds_page_around(const Range& outer, Gpa at, Size page) {
    Gpa start{round_down(at.value, page)};
    return outer.start() <= start && outer.contains(start) &&
           outer.size().bytes - start.above(outer.start()).bytes >= page.bytes;
}

// Pages in the middle of `part` are inside whatever contains it, so its two ends tell.
Obstacles obstacles_to(const Piece& piece, const Range& part, unsigned level) {
    Size page = page_size(level);
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
    uint64_t page = page_size(stretch.level).bytes;
    uint64_t first = shared->start().above(stretch.at).bytes / page;
    uint64_t end = (shared->end().above(stretch.at).bytes + page - 1) / page;
    return end - first;
}

void add(Outlook& outlook, const Piece& piece, const Range& part) {
    for (const Stretch& stretch : stretches_of(piece)) {
        uint64_t pages = pages_in(stretch, part);
        outlook.leaves.of[stretch.level] += pages;
        if (pages > 0) outlook.largest = std::max(outlook.largest, stretch.level);
    }
    for (unsigned level = 1; level < page_levels; ++level)
        outlook.obstacles[level] |= obstacles_to(piece, part, level);
}

}  // namespace

std::vector<Stretch> stretches_of(const Piece& piece) {
    std::vector<Stretch> stretches;
    split(stretches, piece, piece.mapped(), page_levels - 1);
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

Outlook outlook_of(std::span<const Piece> pieces, const Range& range) {
    Outlook outlook;
    auto piece = std::partition_point(pieces.begin(), pieces.end(), [&](const Piece& before) {
        return before.mapped().end() <= range.start();
    });
    for (; piece != pieces.end() && piece->mapped().start() < range.end(); ++piece)
        if (auto part = piece->mapped().intersection(range)) add(outlook, *piece, *part);
    return outlook;
}

}  // namespace remap::stage2
