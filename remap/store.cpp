#include "remap/store.h"

namespace remap {
namespace {

constexpr uint64_t object_end = uint64_t{1} << 62;
constexpr ObjectRange everywhere = ObjectRange::between(Offset{0}, Offset{INT64_MAX});  // as files end

}  // namespace

std::optional<ObjectRange> Store::allocate(Size size, Size modulus, uint64_t phase) {
    uint64_t up = (phase % modulus.bytes + modulus.bytes - next_.value % modulus.bytes) % modulus.bytes;
    uint64_t at = next_.value + up;
    if (at >= object_end || size.bytes > object_end - at) return std::nullopt;
    auto range = ObjectRange::of(Offset{at}, size);
    next_ = range.end();
    return range;
}

void Store::offer(const Offer& offer) {
    ready_ = {};
    for (const ObjectRange& range : offer.ready) ready_.insert({range});
    unit_ = offer.unit;
    room_ = offer.room;
}

std::optional<Size> Store::offered() const {
    return ready_.size() > 0 ? std::optional(unit_) : std::nullopt;
}

std::optional<ObjectRange> Store::take_offered(Size size) {
    const Size wanted{ready_.size() > 0 ? size.bytes / unit_.bytes * unit_.bytes : 0};
    if (wanted.bytes == 0) return std::nullopt;
    std::optional<ObjectRange> best;
    ready_.visit_overlapping(everywhere, [&](const Ready& ready) {
        const Size has = ready.range.size();
        const bool suffices = best && best->size() >= wanted;
        if (!best || (suffices ? has >= wanted && has < best->size() : has > best->size()))
            best = ready.range;
        return true;
    });
    ready_.erase_starting_in(*best);
    if (best->size() <= wanted) return best;
    const auto taken = ObjectRange::of(best->start(), wanted);
    ready_.insert({ObjectRange::between(taken.end(), best->end())});
    return taken;
}

void Store::add_view(const ObjectRange& range) {
    change_views(range, +1);
}
void Store::drop_view(const ObjectRange& range) {
    change_views(range, -1);
}

uint64_t Store::views(Offset at) const {
    const Usage* usage = usage_.find(at);
    return usage ? usage->views : 0;
}

std::vector<ObjectRange> Store::exclusive(const ObjectRange& range) const {
    std::vector<ObjectRange> found;
    usage_.visit_overlapping(range, [&](const Usage& usage) {
        if (usage.views == 1) found.push_back(*usage.range.intersection(range));
        return true;
    });
    return found;
}

std::vector<ObjectRange> Store::unused(const ObjectRange& range) const {
    std::vector<ObjectRange> free;
    Offset at = range.start();
    usage_.visit_overlapping(range, [&](const Usage& usage) {
        if (usage.range.start() > at) free.push_back(ObjectRange::between(at, usage.range.start()));
        at = usage.range.end();
        return true;
    });
    if (at < range.end()) free.push_back(ObjectRange::between(at, range.end()));
    return free;
}

void Store::change_views(const ObjectRange& range, int64_t by) {
    cut(range.start());
    cut(range.end());
    std::vector<Usage> pieces;
    for (const ObjectRange& gap : unused(range)) pieces.push_back({gap, 0});
    usage_.visit_overlapping(range, [&](const Usage& usage) {
        pieces.push_back(usage);
        return true;
    });
    usage_.erase_starting_in(range);
    for (Usage& piece : pieces) {
        uint64_t before = piece.views;
        piece.views = static_cast<uint64_t>(static_cast<int64_t>(before) + by);
        if (before == 0) used_.bytes += piece.range.size().bytes;
        if (piece.views > 0) usage_.insert(piece);
        if (piece.views == 0) used_.bytes -= piece.range.size().bytes;
    }
    // Inside the range unequal neighbours stay unequal; at its ends they may have become equal.
    join(range.start());
    join(range.end());
}

// Splits the entry that lies across `at` in two.
void Store::cut(Offset at) {
    const Usage* across = usage_.find(at);
    if (!across || across->range.start() == at) return;
    Usage low = *across, high = *across;
    low.range = ObjectRange::between(across->range.start(), at);
    high.range = ObjectRange::between(at, across->range.end());
    usage_.erase_starting_in(low.range);
    usage_.insert(low);
    usage_.insert(high);
}

// Makes one entry of two that meet at `at` and have equally many views.
void Store::join(Offset at) {
    const Usage* low = usage_.last_starting_before(at);
    const Usage* high = usage_.find(at);
    if (!low || !high || low->range.end() != at || low->views != high->views) return;
    Usage both{ObjectRange::between(low->range.start(), high->range.end()), low->views};
    usage_.erase_starting_in(both.range);
    usage_.insert(both);
}

}  // namespace remap
