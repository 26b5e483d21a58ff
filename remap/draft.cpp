#include "remap/draft.h"

#include <algorithm>

#include "remap/placement.h"

namespace remap {
namespace {

using Scope = request::Release::Scope;

bool keeps_contents(const Extent& extent, Scope scope) {
    return extent.attributes.shared && scope == Scope::private_only;
}

// Whether memory whose pages are given back had better be made of others: nobody else sees them, so that they are
// unmapped then, and kept.
bool may_move_elsewhere(const Space& space, const Extent& extent) {
    const auto pages = ObjectRange::of(extent.memory.offset, extent.range.size());
    return space.store().keeps_some_of(extent.range.size()) && !extent.attributes.locked &&
           space.store().exclusive(pages) == std::vector<ObjectRange>{pages};
}

}  // namespace

bool releases_pinned(const Space& space, const std::vector<Extent>& extents, Scope scope) {
    return std::any_of(extents.begin(), extents.end(), [&](const Extent& extent) {
        if (keeps_contents(extent, scope) || extent.memory.kind != MemoryKind::object) return false;
        return space.holds_pinned(ObjectRange::of(extent.memory.offset, extent.range.size()));
    });
}

// ---- what is mapped ----

void Draft::unmap(const Range& range) {
    for (const Range& run : after().runs_in(range)) add(change::Unmap{run, anonymous_in(run)});
    note_split(range.start());
    note_split(range.end());
    take(range);
}

// Removes extents from the books, noting the pages that may have lost their last view.
std::vector<Extent> Draft::take(const Range& range) {
    auto taken = after().take(range);
    for (const Extent& extent : taken)
        if (extent.memory.kind != MemoryKind::anon)
            dropped_.push_back(ObjectRange::of(extent.memory.offset, extent.range.size()));
    return taken;
}

std::vector<Range> Draft::anonymous_in(const Range& run) const {
    std::vector<Range> found;
    for (const Extent& extent : plan_.after.extents_in(run)) {
        if (extent.memory.kind != MemoryKind::anon) continue;
        if (!found.empty() && found.back().end() == extent.range.start())
            found.back() = Range::between(found.back().start(), extent.range.end());
        else
            found.push_back(extent.range);
    }
    return found;
}

bool Draft::map_fresh(Extent model) {
    model.memory = {};
    if (after().fresh_memory() == FreshMemory::anon) {
        map_piece(model);
        return true;
    }
    const auto pieces = after().allocate_ready(model.range);
    if (pieces.empty()) return false;
    Gpa at = model.range.start();
    for (const ObjectRange& pages : pieces) {
        Extent piece = model.clipped(Range::of(at, pages.size()));
        piece.memory = {MemoryKind::object, pages.start()};
        map_piece(piece);
        at = piece.range.end();
    }
    return true;
}

void Draft::map_piece(const Extent& piece) {
    after().put(piece);
    add(change::Map{piece.range, piece.memory, piece.prot});
    if (piece.attributes.locked) add(change::Populate{piece.range, piece.prot});
}

bool Draft::map_fresh_for_copy(const Extent& model) {
    const size_t before = plan_.changes.size();
    if (!map_fresh(model)) return false;
    for (size_t i = before; i < plan_.changes.size(); ++i)
        if (auto* map = std::get_if<change::Map>(&plan_.changes[i])) map->prot = read_write;
    return true;
}

// ---- rights and pages of what is mapped ----

void Draft::protect(const Range& range, Prot prot) {
    for (Extent& extent : after().take(range)) {
        if (extent.prot != prot) add(change::Protect{extent.range, prot, extent.prot});
        extent.prot = prot;
        after().put(extent);
    }
}

void Draft::populate(const Range& range) {
    for (const Extent& extent : after().extents_in(range)) add(change::Populate{extent.range, extent.prot});
}

bool Draft::promote(Extent& extent) {
    if (extent.memory.kind == MemoryKind::object) return true;
    auto pages = after().allocate(extent.range.size(), extent.range.start());
    if (!pages) return false;
    take(extent.range);
    add(change::Promote{extent.range, pages->start(), extent.prot, extent.memory});
    extent.memory = {MemoryKind::object, pages->start()};
    after().put(extent);
    return true;
}

bool Draft::release(const Extent& extent, Scope scope) {
    if (keeps_contents(extent, scope)) return true;
    switch (extent.memory.kind) {
        case MemoryKind::anon:
            add(change::Discard{extent.range, extent.prot});
            return true;
        case MemoryKind::object:
            if (may_move_elsewhere(after(), extent)) {
                unmap(extent.range);
                return map_fresh(extent);
            }
            add(change::Free{ObjectRange::of(extent.memory.offset, extent.range.size()),
                             change::Free::Pages::mapped});
            return true;
        case MemoryKind::cow:
            // Dropping the private pages would bring the object's back: it becomes fresh memory instead.
            unmap(extent.range);
            return map_fresh(extent);
    }
    return true;
}

// ---- the whole ----

void Draft::note_split(Gpa at) {
    if (splits_huge_page(before_, at)) plan_.huge_kept = false;
}

void Draft::note_move(const Range& from, Gpa to) {
    if (from.start() == to) return;
    plan_.moved = true;
    if (!keeps_huge_pages(from, to)) plan_.huge_kept = false;
    note_split(from.start());
    note_split(from.end());
}

tl::expected<Plan, Cause> Draft::finish(Gpa result, Size bytes) {
    free_dropped();
    if (auto cause = refusal_of_growth(before_, plan_.after)) return Refused(*cause);
    plan_.result = result;
    plan_.bytes = bytes;
    return std::move(plan_);
}

void Draft::free_dropped() {
    std::sort(dropped_.begin(), dropped_.end(),
              [](const ObjectRange& a, const ObjectRange& b) { return a.start() < b.start(); });
    Offset done{0};  // two extents that went may have been views of the same pages
    for (const ObjectRange& range : dropped_) {
        if (range.end() <= done) continue;
        auto rest = ObjectRange::between(std::max(range.start(), done), range.end());
        for (const ObjectRange& pages : after().store().unused(rest))
            add(change::Free{pages, change::Free::Pages::unmapped});
        done = range.end();
    }
}

}  // namespace remap
